"""Evidence in a folder: files of JSON lines, each of one gateway replica, which only grow and may be removed when they are old.

<replica>.jsonl        the first of them
<replica>.<n>.jsonl    where it went on when that one had grown large
"""

import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from serin.clients.evidence import Chunk, Row
from serin.clients.evidence.lines import line_of, rows_of

_LOG = logging.getLogger(__name__)
_WAITING_BYTES = 64 << 20
_PART_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_CLOCK_SLACK_S = 60.0


class FolderWriter:
    """Appends to one file after the other. What a full disk does not take waits in memory, and goes before all that comes later.

    Unlike the file of a log, which loses lines then, since nothing is decided by it.

    Args:
        path: the first file; rows of an earlier process with the same name stay, and are gone on with.
        waiting_bytes: the most that waits; rows beyond that are dropped and counted.
        part_bytes: a file that has so many is followed by another one, so that old ones can be removed while it goes on.
    """

    def __init__(self, path: Path, waiting_bytes: int = _WAITING_BYTES, part_bytes: int = _PART_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.dropped = 0
        self._first = path
        self._waiting = bytearray()
        self._waiting_bytes = waiting_bytes
        self._part_bytes = part_bytes
        self._fails = False
        self._open(max(_parts(path), default=0))
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            self._waiting += b"\n"  # ends the line that an earlier process was killed in

    def append(self, row: Row) -> None:
        """One ``write`` to an O_APPEND descriptor: a reader sees the line whole or not yet."""
        line = line_of(row)
        self._write()
        if len(self._waiting) + len(line) > self._waiting_bytes:
            self.dropped += 1
        else:
            self._waiting += line
        self._write()

    def close(self) -> None:
        """Give the descriptor back."""
        self._write()
        os.close(self._file)

    def _open(self, part: int) -> None:
        path = self._first if part == 0 else self._first.with_suffix(f".{part}.jsonl")
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self.path, self._part = path, part

    def _go_on(self) -> None:
        """Leave a file that has grown large, or that was removed since the last row, when it was old."""
        found = os.fstat(self._file)
        if found.st_nlink and found.st_size < self._part_bytes:
            return
        left = self._file
        self._open(self._part + 1 if found.st_nlink else self._part)
        os.close(left)

    def _write(self) -> None:
        try:
            if self._waiting:
                self._go_on()
            while self._waiting:
                del self._waiting[: os.write(self._file, self._waiting)]
        except OSError as error:
            if not self._fails:
                _LOG.error("evidence waits in memory, since %s cannot be written (%s): make room", self.path, error)
            self._fails = True
            return
        self._fails = False


class FolderReader:
    """Reads every ``*.jsonl`` of a folder. A position is an offset in bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, positions: Mapping[str, int], since_t: float) -> Iterator[Chunk]:
        """Whole lines only: one that is being written is read when it is complete. A file that shrank is read anew."""
        for path in sorted(self.folder.glob("*.jsonl")):
            try:
                found = path.stat()
                position = positions.get(path.name, 0)
                new = path.name not in positions
                if found.st_size == position or (new and found.st_mtime < since_t - _CLOCK_SLACK_S):
                    continue
                with path.open("rb") as file:
                    if new:
                        position = _first_since(file, found.st_size, since_t - _CLOCK_SLACK_S)
                    file.seek(position if position <= found.st_size else 0)
                    while True:
                        start = file.tell()
                        lines = file.readlines(_CHUNK_BYTES)
                        if lines and not lines[-1].endswith(b"\n"):
                            file.seek(-len(lines.pop()), os.SEEK_CUR)
                        if not lines:
                            break
                        yield Chunk(path.name, start, file.tell(), tuple(rows_of(lines)))
            except FileNotFoundError:
                continue  # removed meanwhile


@dataclass(frozen=True, slots=True)
class OldFiles:
    """What may go of a folder: files that were written last before ``until_t`` (Unix seconds)."""

    until_t: float
    paths: tuple[Path, ...]
    size_bytes: int

    @property
    def objects(self) -> int:
        """How many files."""
        return len(self.paths)


def old_files(folder: Path, t: float) -> OldFiles:
    """Those that no reader needs that asks for what was after ``t`` (Unix seconds) or later; nothing is written."""
    until_t = t - _CLOCK_SLACK_S
    found = {path: path.stat() for path in sorted(folder.glob("*.jsonl"))}
    old = {path: stat.st_size for path, stat in found.items() if stat.st_mtime < until_t}
    return OldFiles(until_t, tuple(old), sum(old.values()))


def remove_files(old: OldFiles) -> None:
    """Remove them, but for those that were written meanwhile; a gateway that lives begins its file anew."""
    for path in old.paths:
        if path.exists() and path.stat().st_mtime < old.until_t:
            path.unlink()


def _parts(first: Path) -> list[int]:
    """The numbers of the files that follow a replica's first one."""
    named = re.compile(rf"{re.escape(first.stem)}\.(\d+)\.jsonl")
    return [int(found[1]) for path in first.parent.glob("*.jsonl") if (found := named.fullmatch(path.name))]


def _first_since(file: IO[bytes], size: int, t: float) -> int:
    """An offset before which all rows are older than ``t``, found by bisection: rows stand in the order of their times."""
    low, high = 0, size
    while high - low > _CHUNK_BYTES:
        file.seek((low + high) // 2)
        file.readline()
        start = file.tell()
        row = next(rows_of([file.readline()]), {})
        if start < high and isinstance(row.get("t"), int | float) and row["t"] < t:
            low = start
        else:
            high = (low + high) // 2
    return low
