"""Examined records on disk, and in memory only the few bytes a record that deduplication needs of all of them at once."""

import io
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serin.core.conversation import Conversation
from serin.prepare.record.examine import Examined

_ARRAYS = {"tokens": "i", "split": "B", "file": "L", "place": "q", "group": "Q", "numbers": "Q", "language": "H"}


class Spool:
    """Grows by chunks in reading order, then gives back any record by its number.

    About 60 bytes a record stand in memory; text, LSH bands and signatures stand in files of ``folder``.
    """

    def __init__(self, folder: Path, bands: int, permutations: int) -> None:
        self._folder = folder
        self._permutations = permutations
        # Two handles: records are read back while more are added, and each has a place of its own.
        self._lines: IO[bytes] = (folder / "candidates.jsonl").open("wb")
        self._reader: IO[bytes] = (folder / "candidates.jsonl").open("rb")
        self._bands = [(folder / f"band-{i}").open("w+b") for i in range(bands)]
        self._sketches: IO[bytes] = (folder / "sketches").open("w+b")
        self._ends = array("q", [0])
        self._columns = {name: array(code) for name, code in _ARRAYS.items()}
        self._exact = bytearray()
        self._languages: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, chunk: Examined) -> None:
        """Append what was kept of a chunk."""
        if chunk.sketches is None:
            return
        end = self._ends[-1]
        for line in chunk.lines:
            end += len(line)
            self._ends.append(end)
        self._lines.writelines(chunk.lines)
        known = self._languages
        columns: dict[str, Iterable[int]] = {
            "tokens": chunk.tokens,
            "split": chunk.splits,
            "file": [chunk.file] * len(chunk.lines),
            "place": chunk.places,
            "group": chunk.groups,
            "numbers": chunk.numbers,
            "language": (known.setdefault(language, len(known)) for language in chunk.languages),
        }
        for name, values in columns.items():
            self._columns[name].extend(values)
        self._exact += chunk.exact
        for file, column in zip(self._bands, chunk.sketches.bands.T, strict=True):
            file.write(np.ascontiguousarray(column).tobytes())
        self._sketches.write(chunk.sketches.bytes_.tobytes())

    def line(self, number: int) -> bytes:
        """The record's line as it is to be written."""
        start = self._ends[number]
        self._lines.flush()
        self._reader.seek(start)
        return self._reader.read(self._ends[number + 1] - start)

    def conversation(self, number: int) -> Conversation:
        """The record itself."""
        return Conversation.from_dict(orjson.loads(self.line(number)))

    def all_lines(self) -> Iterator[bytes]:
        """Every record's line, in order."""
        self._lines.flush()
        with (self._folder / "candidates.jsonl").open("rb") as lines:
            yield from lines

    def column(self, name: str) -> NDArray[Any]:
        """One number a record: ``tokens``, ``split``, ``file``, ``place``, ``group``, ``numbers`` or ``language``."""
        return np.array(self._columns[name])

    def column_at(self, name: str, number: int) -> int:
        """One record's number in a column."""
        return int(self._columns[name][number])

    @property
    def languages(self) -> list[str]:
        """What the numbers of the column ``language`` stand for."""
        return list(self._languages)

    @property
    def exact_keys(self) -> NDArray[np.uint64]:
        """n × 2: equal where two normalised texts are."""
        return np.frombuffer(bytes(self._exact), dtype=np.uint64).reshape(-1, 2)

    @property
    def band_count(self) -> int:
        """How many bands there are."""
        return len(self._bands)

    def band(self, number: int) -> NDArray[np.uint64]:
        """The keys of one band, one a record."""
        return np.frombuffer(_content(self._bands[number]), dtype=np.uint64)

    def sketches(self) -> NDArray[np.uint8]:
        """n × permutations, mapped from disk."""
        self._sketches.flush()
        shape = (len(self), self._permutations)
        if not len(self):
            return np.empty(shape, dtype=np.uint8)
        return np.memmap(self._folder / "sketches", dtype=np.uint8, mode="r", shape=shape)

    def close(self) -> None:
        """Close the files; the folder is whoever's who made it."""
        for file in (self._lines, self._reader, self._sketches, *self._bands):
            file.close()


def _content(file: IO[bytes]) -> bytes:
    file.flush()
    file.seek(0)
    content = file.read()
    file.seek(0, io.SEEK_END)
    return content
