"""Every record of a raw file with its place, one after another; what cannot be read is a record with a fault."""

import codecs
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import orjson

from serin.core.errors import ConfigError, InputError
from serin.prepare.raw.captured import Scores, conversation_of, is_captured
from serin.prepare.raw.csv_rows import read_rows
from serin.prepare.raw.json_values import read_values
from serin.prepare.raw.sources import RawFile, open_bytes, open_seekable

_EXCERPT_BYTES = 400
_SKIPPED_BYTES = 1 << 20
_PARQUET_ROWS = 256
_NO_SCORES: Scores = {}
_MARKED = "serin.undecodable"
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as it stands in a file: ``value``, or ``fault`` where it could not even be read.

    ``line`` is the 1-based line where it starts, or the 1-based place in a ``.json`` array or a Parquet table. A ``bytes``
    value is JSON that nobody has decoded yet (``decoded``).
    """

    line: int
    value: Any = None
    fault: str | None = None


def read_records(
    file: RawFile, max_record_bytes: int, endpoint_url: str | None = None, scores: Scores = _NO_SCORES
) -> Iterator[RawRecord]:
    """Yield every record of a file, holding no more of it than a few records.

    ``scores`` are those of captured answers; a feedback itself is no record.

    Raises:
        InputError: the file as a whole cannot be read: cut short, damaged, or not of the kind that its name says.
    """
    if is_captured(file):
        for record in _read_parquet(file, max_record_bytes, endpoint_url):
            if record.fault is not None:
                yield record
            elif (read := conversation_of(record.value, scores, file.source)) is not None:
                yield RawRecord(record.line, *read)
    elif file.kind == "parquet":
        yield from _read_parquet(file, max_record_bytes, endpoint_url)
    elif file.kind == "json":
        yield from _read_json(file, max_record_bytes, lambda: _open_utf8(file, endpoint_url))
    else:
        with _open_utf8(file, endpoint_url) as stream:
            if file.kind == "jsonl":
                yield from _read_jsonl(stream, max_record_bytes)
            else:
                for line, row, fault in read_rows(stream, file.path, max_record_bytes):
                    yield RawRecord(line, row, fault)


def decoded(record: RawRecord) -> RawRecord:
    """The record with its JSON decoded, or with the fault ``not_utf8`` or ``not_json``."""
    if record.fault is not None or not isinstance(record.value, bytes):
        return record
    try:
        return RawRecord(record.line, orjson.loads(record.value))
    except orjson.JSONDecodeError:
        text = record.value.decode("utf-8", errors="replace")
        try:
            record.value.decode("utf-8")
        except UnicodeDecodeError:
            return RawRecord(record.line, text, "not_utf8")
        return RawRecord(record.line, text, "not_json")


def _read_jsonl(stream: IO[bytes], max_record_bytes: int) -> Iterator[RawRecord]:
    number = 0
    while line := stream.readline(max_record_bytes + 1):
        number += 1
        if len(line) > max_record_bytes and not line.endswith(b"\n"):
            while (rest := stream.readline(_SKIPPED_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield _too_large(number, line)
        elif line.strip():
            yield RawRecord(number, line)


def _too_large(line: int, head: bytes) -> RawRecord:
    return RawRecord(line, head[:_EXCERPT_BYTES].decode("utf-8", errors="replace"), "too_large")


def _read_json(
    file: RawFile, max_record_bytes: int, opened: Callable[[], AbstractContextManager[IO[bytes]]]
) -> Iterator[RawRecord]:
    for place, value, is_whole in read_values(opened, file.path, max_record_bytes):
        yield RawRecord(place, value) if is_whole else _too_large(place, value)


def _read_parquet(file: RawFile, max_record_bytes: int, endpoint_url: str | None) -> Iterator[RawRecord]:
    import pyarrow
    from pyarrow import parquet

    with open_seekable(file, endpoint_url) as stream:
        place = 0
        try:
            table = parquet.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20)
            for batch in table.iter_batches(batch_size=_PARQUET_ROWS, use_threads=False):
                may_be_large = batch.nbytes > max_record_bytes
                for row in batch.to_pylist():
                    place += 1
                    text = orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS) if may_be_large else b""
                    yield RawRecord(place, row) if len(text) <= max_record_bytes else _too_large(place, text)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{file.path} holds text that is not UTF-8 near row {place + 1}: write it again with UTF-8 strings"
            ) from error
        except (pyarrow.ArrowException, orjson.JSONEncodeError, OSError) as error:
            raise InputError(
                f"{file.path} is no Parquet file that can be read ({error}): get it again, whole"
            ) from error


@contextmanager
def _open_utf8(file: RawFile, endpoint_url: str | None) -> Iterator[IO[bytes]]:
    """A file's bytes as UTF-8 without a byte order mark; what its encoding does not have is no UTF-8 either."""
    with open_bytes(file, endpoint_url) as stream:
        head = stream.read(4)
        mark, encoding = next(((m, e) for m, e in _BOMS if head.startswith(m)), (b"", file.source.encoding))
        try:
            codec = codecs.lookup(encoding)
            b"".decode(encoding)  # refuses what is no encoding of text, such as hex
        except (LookupError, UnicodeError) as error:
            raise ConfigError(
                f"prepare.sources: {file.source.path} has encoding {encoding!r}, which is none of text that Python "
                "knows: name another one, such as gb18030"
            ) from error
        decoder = None if codec.name == "utf-8" else codec.incrementaldecoder(errors=_MARKED)
        yield io.BufferedReader(_Recoded(head[len(mark) :], stream, decoder), 1 << 18)


class _Recoded(io.RawIOBase):
    """A stream whose head was read already, decoded and encoded again where ``decoder`` is not None."""

    def __init__(self, head: bytes, stream: IO[bytes], decoder: codecs.IncrementalDecoder | None) -> None:
        self._ready = head if decoder is None else _encoded(decoder.decode(head))
        self._stream = stream
        self._decoder = decoder

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            chunk = self._stream.read(len(buffer))
            if not chunk and self._decoder is None:
                return 0
            self._ready = chunk if self._decoder is None else _encoded(self._decoder.decode(chunk, final=not chunk))
            if not chunk and not self._ready:
                return 0
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogateescape")


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    """Put a surrogate in the place of bytes that an encoding does not have; encoded again, it is a byte that UTF-8 lacks."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error(_MARKED, _mark_undecodable)
