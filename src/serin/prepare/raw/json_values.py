"""The records of a JSON file, cut out of its bytes one by one, so that no more than one of them is ever held.

A streaming JSON library hands over values, however large; here a value above the limit is passed over instead, and
neither depth nor length of what stands in a file can use up memory.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Any

import orjson

from serin.core.errors import InputError
from serin.prepare.raw.formats import format_of

_CHUNK_BYTES = 1 << 18
_HEAD_BYTES = 400
_STRUCTURE = re.compile(rb'["\[\]{},]')
_IN_STRING = re.compile(rb'["\\]')
_BLANK = b" \t\r\n"


def read_values(
    opened: Callable[[], AbstractContextManager[IO[bytes]]], path: str, max_record_bytes: int
) -> Iterator[tuple[int, Any, bool]]:
    """Yield (1-based place, JSON as bytes or a value, True), or (place, its first bytes, False) for one above the limit.

    The file is ``[record, …]``, an object that holds one such array, one record, or records one after another.

    Raises:
        InputError: none of these, or the file ends in the middle.
    """
    with opened() as stream:
        scanner = _Scanner(stream, path, max_record_bytes)
        start = scanner.first_byte()
        if start == b"[":
            yield from scanner.elements()
            return
        if start == b"":
            return
        if start != b"{":
            raise InputError(f"{path} begins with {start!r}: expected [records] or {{…}}; is it another kind of file?")
        values = scanner.roots()
        first, second = next(values), next(values, None)
        if second is not None:
            yield first
            yield second
            yield from values
            return
    _, value, is_whole = first
    if not is_whole:
        with opened() as stream:
            yield from _Scanner(stream, path, max_record_bytes).elements_of_first_array()
        return
    yield from _records_in(value, path)


def _records_in(text: bytes, path: str) -> Iterator[tuple[int, Any, bool]]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON ({error}): mend it and run again") from error
    arrays = [inner for inner in value.values() if isinstance(inner, list)]
    if format_of(value) is not None:
        yield 1, value, True
    elif len(arrays) == 1:
        for place, inner in enumerate(arrays[0], 1):
            yield place, inner, True
    else:
        raise InputError(
            f"{path} is an object with {len(arrays)} arrays in it: expected [records], one record, or one array of them"
        )


class _Scanner:
    """Walks over the structure of JSON text: quotes, brackets and commas; values are checked by who decodes them.

    ``_text[_start:]`` is what is known of the present value; past the limit only its head is kept.
    """

    def __init__(self, stream: IO[bytes], path: str, max_record_bytes: int) -> None:
        self._stream = stream
        self._path = path
        self._limit = max_record_bytes
        self._text = bytearray()
        self._start = 0
        self._at = 0
        self._in_string = False
        self._head: bytes | None = None

    def first_byte(self) -> bytes:
        """The next byte that is no white space, without passing it; empty at the end. A value begins there."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANK:
                    self._start = self._at
                    return bytes(self._text[self._at : self._at + 1])
                self._at += 1
            self._start = self._at
            if not self._more():
                return b""

    def roots(self) -> Iterator[tuple[int, bytes, bool]]:
        """Values that stand one after another."""
        place = 0
        while (start := self.first_byte()) == b"{":
            place += 1
            depth = 0
            for mark in self._marks():
                depth += (mark in b"[{") - (mark in b"]}")
                if depth == 0:
                    break
            yield place, *self._taken(self._at)
        if start:
            raise InputError(f"{self._path}: found {start!r} after record {place}, expected another {{…}} or the end")

    def elements(self) -> Iterator[tuple[int, bytes, bool]]:
        """The elements of the array that begins here; nothing may follow it."""
        self._at += 1
        yield from self._elements()
        if self.first_byte():
            raise InputError(f"{self._path} goes on after the end of its array: expected [records] and nothing else")

    def elements_of_first_array(self) -> Iterator[tuple[int, bytes, bool]]:
        """The elements of the first array in the object that begins here; what else it holds is passed over."""
        depth = 0
        for mark in self._marks():
            self._start = self._at
            depth += (mark in b"[{") - (mark in b"]}")
            if depth == 2 and mark == b"[":
                yield from self._elements()
                return
            if depth == 0:
                break
        raise InputError(f"{self._path} is one object of more than {self._limit:,} bytes without an array of records")

    def _elements(self) -> Iterator[tuple[int, bytes, bool]]:
        place, depth = 1, 0
        self._start = self._at
        for mark in self._marks():
            ends = depth == 0 and mark in b"],}"
            if ends:
                value, is_whole = self._taken(self._at - 1)
                if value.strip(_BLANK):
                    yield place, value, is_whole
                    place += 1
                if mark != b",":
                    return
            else:
                depth += (mark in b"[{") - (mark in b"]}")

    def _taken(self, end: int) -> tuple[bytes, bool]:
        """The present value up to ``end`` and True, or its head and False; the next one begins at ``_at``."""
        is_whole = self._head is None and end - self._start <= self._limit
        value = bytes(self._text[self._start : end]) if is_whole else self._head or bytes(self._text[self._start : end])
        self._start, self._head = self._at, None
        return value[: self._limit], is_whole

    def _marks(self) -> Iterator[bytes]:
        """Each bracket and comma outside strings; ``_at`` stands just behind it."""
        while True:
            found = (_IN_STRING if self._in_string else _STRUCTURE).search(self._text, self._at)
            if found is None:
                self._at = max(self._at, len(self._text))
                if not self._more():
                    raise InputError(f"{self._path} ends in the middle of a record: get the file again, whole")
                continue
            self._at = found.end()
            mark = bytes(found.group())
            if mark == b"\\":
                self._at += 1
            elif mark == b'"':
                self._in_string = not self._in_string
            else:
                yield mark

    def _more(self) -> bool:
        """Read on; a value that has grown past the limit keeps only its head."""
        if len(self._text) - self._start > self._limit:
            if self._head is None:
                self._head = bytes(self._text[self._start : self._start + _HEAD_BYTES])
            self._at -= len(self._text)
            self._text.clear()
        else:
            del self._text[: self._start]
            self._at -= self._start
        self._start = 0
        chunk = self._stream.read(_CHUNK_BYTES)
        self._text += chunk
        return bool(chunk)
