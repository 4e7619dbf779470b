"""The rows of a CSV file with their line; a row with broken quotes costs that row and no other."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

from serin.core.errors import InputError

_DELIMITERS = ",;\t|"


def read_rows(stream: IO[bytes], path: str, max_record_bytes: int) -> Iterator[tuple[int, Any, str | None]]:
    """Yield (1-based line, row as a mapping, None), or (line, what stands there, fault).

    The first row names the columns; the delimiter is the one of ``,`` ``;`` tab and ``|`` that it holds most of. Faults:
    ``broken_quotes``, ``wrong_columns`` and ``not_utf8``.

    Raises:
        InputError: a header with an empty or a doubled name, or a line longer than ``max_record_bytes``.
    """
    lines = _Lines(stream, path, max_record_bytes)
    limit = csv.field_size_limit(max_record_bytes)
    try:
        yield from _rows(lines, path)
    finally:
        csv.field_size_limit(limit)


def _rows(lines: "_Lines", path: str) -> Iterator[tuple[int, Any, str | None]]:
    names: list[str] | None = None
    delimiter = ","
    while lines.starts_row():
        if names is None:
            delimiter = max(_DELIMITERS, key=lines.head.count)
        try:
            row = next(csv.reader(lines, delimiter=delimiter, strict=True))
        except csv.Error:
            yield lines.first, lines.give_back_all_but_the_first(), "broken_quotes"
            continue
        if names is None:
            names = _header(row, path)
        elif len(row) != len(names) and lines.count > 1:
            yield lines.first, lines.give_back_all_but_the_first(), "broken_quotes"
        elif any("\udc80" <= char <= "\udcff" for cell in row for char in cell if not cell.isascii()):
            yield lines.first, _readable(delimiter.join(row)), "not_utf8"
        elif len(row) == len(names):
            yield lines.first, dict(zip(names, row, strict=True)), None
        elif row:
            yield lines.first, row, "wrong_columns"


def _header(row: list[str], path: str) -> list[str]:
    names = [name.strip() for name in row]
    if names[0] == "" and len(names) > 1:  # as pandas writes its index
        names[0] = "index"
    if not all(names) or len(set(names)) < len(names):
        raise InputError(f"{path}:1 has the columns {names}: expected a header with one name a column, each once")
    return names


def _readable(text: str) -> str:
    """The text with a replacement character for each byte that is not UTF-8."""
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


class _Lines:
    """Lines of text, of which those of the present row can be given back."""

    def __init__(self, stream: IO[bytes], path: str, max_line_bytes: int) -> None:
        self._stream = stream
        self._path = path
        self._max_line_bytes = max_line_bytes
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self._number = 0
        self.first = 0

    def starts_row(self) -> bool:
        """Begin a new row at the next line; false where there is none."""
        self._taken = []
        if not self._waiting:
            self._waiting.extend(self._read())
        self.first = self._number + 1
        return bool(self._waiting)

    @property
    def head(self) -> str:
        """The line that the row begins with."""
        return self._waiting[0]

    @property
    def count(self) -> int:
        """Lines that the present row has taken."""
        return len(self._taken)

    def give_back_all_but_the_first(self) -> str:
        """Let the next row begin at the second line of this one; returns the first."""
        self._waiting.extendleft(reversed(self._taken[1:]))
        self._number = self.first
        return _readable(self._taken[0].rstrip("\r\n"))

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if not self._waiting:
            self._waiting.extend(self._read())
        if not self._waiting:
            raise StopIteration
        self._number += 1
        line = self._waiting.popleft()
        self._taken.append(line)
        return line

    def _read(self) -> list[str]:
        line = self._stream.readline(self._max_line_bytes + 1)
        if len(line) > self._max_line_bytes:
            raise InputError(
                f"{self._path}:{self._number + 1} is a line of more than {self._max_line_bytes:,} bytes: mend it, or raise "
                "prepare.max_record_bytes"
            )
        return [line.decode("utf-8", errors="surrogateescape")] if line else []
