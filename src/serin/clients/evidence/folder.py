"""Evidence in a folder: one file of JSON lines a gateway replica, which only grows."""

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from serin.clients.evidence import Chunk, Row
from serin.clients.evidence.lines import line_of, rows_of

_LOG = logging.getLogger(__name__)
_WAITING_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_CLOCK_SLACK_S = 60.0


class FolderWriter:
    """Appends to one file. What a full disk does not take waits in memory, and goes before all that comes later.

    Unlike the file of a log, which loses lines then and turns over, since nothing is decided by it.

    Args:
        path: the file; rows of an earlier process with the same name stay.
        waiting_bytes: the most that waits; rows beyond that are dropped and counted.
    """

    def __init__(self, path: Path, waiting_bytes: int = _WAITING_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.dropped = 0
        self._waiting = bytearray()
        self._waiting_bytes = waiting_bytes
        self._fails = False
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
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

    def _write(self) -> None:
        try:
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
