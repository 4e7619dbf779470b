"""Raw files as people have them: which they are, what format each has, and every record in them with its place."""

import csv
import glob
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin.core.errors import InputError

SUFFIXES = (".jsonl", ".json", ".csv")
_COLUMNS = (("question", "answer"), ("prompt", "completion"))
_META_TYPES = (str, int, float, bool)
_CSV_FIELD_CHARS = 1 << 24


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as it stands in a file: ``value``, or ``fault`` where it could not even be read.

    ``line`` is the 1-based line where it starts, or the 1-based place in the array of a ``.json`` file.
    """

    source: str
    line: int
    value: Any = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A record's (role, content) pairs, the extra fields that say something of it, and the format it had."""

    turns: tuple[tuple[str, str], ...]
    meta: dict[str, Any]
    format: str


def find_files(sources: Sequence[str]) -> list[Path]:
    """The files that sources name, each once, in an order that depends on the names alone.

    Raises:
        InputError: a source that names nothing, or a file of a kind that cannot be read.
    """
    found: dict[Path, None] = {}
    for source in sources:
        path = Path(source)
        if path.is_dir():
            matches = [p for p in sorted(path.rglob("*")) if p.suffix in SUFFIXES and p.is_file()]
        elif path.is_file():
            matches = [path]
        else:
            matches = [Path(name) for name in sorted(glob.glob(source, recursive=True)) if Path(name).is_file()]  # noqa: PTH207 - Path.glob refuses absolute patterns
        if not matches:
            kinds = ", ".join(SUFFIXES)
            raise InputError(
                f"{source} holds no data: expected a file, folder or glob of {kinds}; edit prepare.sources"
            )
        for match in matches:
            if match.suffix not in SUFFIXES:
                raise InputError(f"{match} is of an unknown kind: expected {', '.join(SUFFIXES)}; edit prepare.sources")
            found[match] = None
    return list(found)


def read_file(path: Path) -> Iterator[RawRecord]:
    """Yield every record of a file. Raises InputError where the file as a whole cannot be read."""
    if path.suffix == ".jsonl":
        return _read_jsonl(path)
    return _read_json(path) if path.suffix == ".json" else _read_csv(path)


def _read_jsonl(path: Path) -> Iterator[RawRecord]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not line.strip():
                continue
            try:
                yield RawRecord(path.name, number, json.loads(line.decode("utf-8")))
            except UnicodeDecodeError:
                yield RawRecord(path.name, number, line.decode("utf-8", errors="replace"), "not_utf8")
            except (ValueError, RecursionError):
                yield RawRecord(path.name, number, line.decode("utf-8"), "not_json")


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 (byte {error.start}): convert it, for example 'iconv -f GB18030 -t UTF-8', and run again"
        ) from error


def _read_json(path: Path) -> Iterator[RawRecord]:
    try:
        values = json.loads(_text_of(path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not JSON ({error}): mend it, or name it .jsonl if it holds one record a line"
        ) from error
    if isinstance(values, dict):
        arrays = [value for value in values.values() if isinstance(value, list)]
        values = arrays[0] if len(arrays) == 1 else values
    if not isinstance(values, list):
        raise InputError(f"{path} holds no array of records: expected [{{…}}, …] or one object with one array in it")
    for number, value in enumerate(values, 1):
        yield RawRecord(path.name, number, value)


def _read_csv(path: Path) -> Iterator[RawRecord]:
    csv.field_size_limit(_CSV_FIELD_CHARS)
    rows = csv.reader(io.StringIO(_text_of(path), newline=""), strict=True)
    starts = 1
    try:
        header = next(rows, [])
        names = [name.strip() for name in header]
        starts = rows.line_num + 1
        for row in rows:
            if len(row) == len(names):
                yield RawRecord(path.name, starts, dict(zip(names, row, strict=True)))
            elif row:
                yield RawRecord(path.name, starts, row, "wrong_columns")
            starts = rows.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}:{starts} is not CSV ({error}): mend the quotes of that row and run again") from error


def format_of(value: Any) -> str | None:
    """The format of one record: ``messages``, ``conversations``, ``instruction``, ``question/answer`` …, or None."""
    if not isinstance(value, Mapping):
        return None
    for name in ("messages", "conversations"):
        if isinstance(value.get(name), list):
            return name
    if "instruction" in value and "output" in value:
        return "instruction"
    return next(("/".join(pair) for pair in _COLUMNS if pair[0] in value and pair[1] in value), None)


def parse(value: Any, kind: str) -> Parsed | None:
    """Read a record as the given format; None where it does not have it."""
    if format_of(value) != kind:
        return None
    if kind in ("messages", "conversations"):
        used: tuple[str, ...] = (kind,)
        turns = []
        for turn in value[kind]:
            if not isinstance(turn, Mapping):
                return None
            turns.append((turn.get("role"), turn.get("content")))
    elif kind == "instruction":
        used = ("instruction", "input", "output", "system")
        question = [value["instruction"], value.get("input") or ""]
        if not all(isinstance(part, str) for part in question):
            return None
        turns = [("user", "\n".join(part for part in question if part.strip())), ("assistant", value["output"])]
        if value.get("system"):
            turns.insert(0, ("system", value["system"]))
    else:
        used = tuple(kind.split("/"))
        turns = [("user", value[used[0]]), ("assistant", value[used[1]])]
    pairs = tuple(("" if r is None else r, "" if c is None else c) for r, c in turns)
    if not all(isinstance(role, str) and isinstance(content, str) for role, content in pairs):
        return None
    meta = {str(k): v for k, v in value.items() if k not in used and isinstance(v, _META_TYPES) and v != ""}
    return Parsed(pairs, meta, kind)
