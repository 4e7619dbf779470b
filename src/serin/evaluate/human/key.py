"""The key to sheets: which question each item is, and whose answer stands where. It stays with who exported them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from serin.clients.files import read_json, write_json
from serin.core.errors import InputError
from serin.evaluate.human.sheet import Sheet, Side

KEY = "key.json"


@dataclass(frozen=True, slots=True)
class Known:
    """A question that was drawn."""

    group: str
    slices: dict[str, str]
    is_same: bool
    """Both answers are one: it stands in no sheet, and counts as a tie."""


@dataclass(frozen=True, slots=True)
class KeyItem:
    """One item of a sheet."""

    id: str
    candidate: Side
    """Which answer is the candidate's."""
    texts: str
    """Digest of what the rater was shown."""


@dataclass(frozen=True, slots=True)
class KeySheet:
    """One sheet, its items in their order."""

    rater: int
    items: tuple[KeyItem, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """All sheets of one export."""

    digest: str
    """The candidate's."""
    over: str
    """Which model it was compared with: ``base`` or ``production``."""
    against: str | None
    """The pinned production model of that evaluation, ``name@digest``."""
    evaluation: str
    """Digest of the evaluation that the answers come from."""
    questions: Mapping[str, Known]
    sheets: Mapping[str, KeySheet]


def key_of(sheet: Sheet) -> KeySheet:
    """What the key says of a sheet."""
    return KeySheet(
        sheet.rater,
        tuple(
            KeyItem(id, side, item.digest) for id, side, item in zip(sheet.ids, sheet.sides, sheet.items, strict=True)
        ),
    )


def write_key(key: Key, path: Path) -> None:
    """Write a key that its owner alone can read."""
    write_json(path, asdict(key), mode=0o600)


def read_key(path: Path) -> Key:
    """Read a key. Raises InputError where it is missing or none."""
    try:
        return TypeAdapter(Key).validate_python(read_json(path))
    except ValidationError as error:
        raise InputError(
            f"{path} is no key to sheets ({error.error_count()} faults): take the {KEY} of 'serin evaluate --human export'"
        ) from error
