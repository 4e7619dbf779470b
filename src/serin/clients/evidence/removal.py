"""Evidence in storage that is older than anybody asks for. One rule: a reader that begins later never meets a gap.

Of a stream that lives, what goes ends where a reader of that time would begin; of one that is dead, everything goes, its sign
last. So a removal that was killed is ended by the next one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from serin.clients.evidence.shipped import DEAD_S, ROWS, STREAMS, key_of, marks_of, number_at
from serin.clients.storage import Storage


@dataclass(frozen=True, slots=True)
class Outdated:
    """What may go."""

    rows: tuple[str, ...]
    """Keys of objects with rows."""
    signs: Mapping[str, datetime] = field(default_factory=dict)
    """The signs of dead streams, whose rows are all among those, and when each was written."""
    size_bytes: int = 0

    @property
    def objects(self) -> int:
        """How many of both."""
        return len(self.rows) + len(self.signs)


def outdated(storage: Storage, t: float) -> Outdated:
    """What no reader needs that asks for what was after ``t`` (Unix seconds) or later; nothing is written.

    Raises:
        StorageError: storage does not answer.
    """
    signs = {found.key.removeprefix(STREAMS): found for found in storage.files(STREAMS)}
    dead = {name for name, sign in signs.items() if sign.written.timestamp() + DEAD_S < t}
    kept_from = {name: _reader_begins_at(storage, name, t) for name in signs.keys() - dead}
    rows: list[str] = []
    size_bytes = 0
    for found in storage.files(ROWS):
        stream = found.key.removeprefix(ROWS).partition("/")[0]
        # By storage's clock too: a gateway's may have been set back. Without a sign a stream began a moment ago, or a removal
        # ended before its last rows were there.
        is_old = stream in dead or found.written.timestamp() + DEAD_S < t
        if is_old and found.key < kept_from.get(stream, "~"):
            rows.append(found.key)
            size_bytes += found.size_bytes
    return Outdated(tuple(rows), {signs[name].key: signs[name].written for name in dead}, size_bytes)


def remove(outdated: Outdated, storage: Storage) -> None:
    """Remove it. Raises StorageError; call it again then."""
    storage.delete(outdated.rows)
    if outdated.signs:
        # A gateway that was idle for long may have come back.
        present = {found.key: found.written for found in storage.files(STREAMS)}
        storage.delete(key for key, written in outdated.signs.items() if present.get(key) == written)


def _reader_begins_at(storage: Storage, stream: str, t: float) -> str:
    return key_of(stream, number_at(marks_of(storage.read(STREAMS + stream)), t))
