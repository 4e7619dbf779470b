"""What is in a file of raw data, from the records at its head: format, columns, languages, groups and lengths."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from serin.core.errors import ConfigError, InputError
from serin.core.params import PrepareParams
from serin.core.params.preparation import Format
from serin.prepare.raw.formats import Parsed, commonest_format, parse
from serin.prepare.raw.read import RawRecord, decoded, read_records
from serin.prepare.raw.sources import RawFile, open_bytes, open_seekable
from serin.prepare.record.language import LanguageDetector
from serin.project.columns import Role, guess_columns, texts_by_column
from serin.project.encoding import encoding_of
from serin.project.groups import group_field

SAMPLE_RECORDS = 400
_SAMPLE_BYTES = 1 << 23
_HEAD_BYTES = 1 << 16
# A token is about four bytes of English and three of Chinese where a tokenizer knows the language; each turn adds its
# markers, and a template may add a system prompt.
_BYTES_A_TOKEN = 3
_TOKENS_A_TURN = 8
_TOKENS_A_SYSTEM_PROMPT = 24
_COLUMNS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Look:
    """One file as it seems to be. ``file.source`` states its format, columns and encoding.

    ``records`` estimates how many there are (None: it is compressed, so nobody knows before it is read), ``read`` were looked
    at, ``unlike`` of them could not be read in the file's format. ``tokens`` and ``answer_tokens`` estimate the length of
    each conversation and of its last turn; ``languages`` counts records by ISO 639-1 code.
    """

    file: RawFile
    records: int | None
    read: int
    unlike: int
    languages: Mapping[str, int]
    group: str | None
    tokens: tuple[int, ...]
    answer_tokens: tuple[int, ...]

    @property
    def format(self) -> Format:
        """The format of its records."""
        assert self.file.source.format is not None
        return self.file.source.format


def look_at(file: RawFile, columns: Mapping[Role, str] | None, detector: LanguageDetector) -> Look:
    """Read up to ``SAMPLE_RECORDS`` of a file and say what is in it.

    Args:
        file: the file; its source says nothing of it yet.
        columns: those of the question, the answer and more, where the user named them.
        detector: tells languages apart.

    Raises:
        InputError: it is empty, or cannot be read, or nothing in it is a record.
        ConfigError: its format is unknown, and its columns do not tell where question and answer are.
    """
    if file.kind != "parquet":
        file = _stating(file, encoding=_encoding_of(file))
    raw, is_whole = _head(file)
    if not raw:
        raise InputError(f"{file.path} holds no record: expected at least one; is it the right file?")
    values = _mappings(file, [decoded(record) for record in raw])
    file = _with_format(file, values, columns)
    source, kind = file.source, file.source.format
    parsed = [p for value in values if kind is not None and (p := parse(value, source, kind)) is not None and p.turns]
    if not parsed:
        raise InputError(
            f"{file.path} looks like {kind}, and none of its first {len(raw)} records can be read so: expected text in "
            "its turns; mend the file"
        )
    return Look(
        file=file,
        records=len(raw) if is_whole else _estimated_records(file, raw),
        read=len(raw),
        unlike=len(raw) - len(parsed),
        languages=_languages(parsed, detector),
        group=group_field(parsed),
        tokens=tuple(_tokens_of(record) for record in parsed),
        answer_tokens=tuple(_tokens_in(record.turns[-1].content) for record in parsed),
    )


def _head(file: RawFile) -> tuple[list[RawRecord], bool]:
    """The first records, and whether that is all of them."""
    taken: list[RawRecord] = []
    size_bytes = 0
    for record in read_records(file, PrepareParams().max_record_bytes):
        if len(taken) == SAMPLE_RECORDS or size_bytes > _SAMPLE_BYTES:
            return taken, False
        taken.append(record)
        size_bytes += _size_bytes(record.value)
    return taken, True


def _encoding_of(file: RawFile) -> str:
    with open_bytes(file) as stream:
        return encoding_of(stream.read(_HEAD_BYTES))


def _stating(file: RawFile, **fields: Any) -> RawFile:
    """The file with more said of it in its source."""
    return replace(file, source=file.source.model_validate(file.source.model_dump() | fields))


def _mappings(file: RawFile, records: Sequence[RawRecord]) -> list[Mapping[str, Any]]:
    values = [record.value for record in records if record.fault is None and isinstance(record.value, Mapping)]
    if values:
        return values
    found = Counter(record.fault or f"a bare {type(record.value).__name__}" for record in records)
    reasons = ", ".join(f"{count} {what}" for what, count in found.most_common())
    raise InputError(
        f"{file.path} holds no record that can be read (its first {len(records)}: {reasons}): expected an object, or a row "
        "under a header, for each record; mend the file or leave it out"
    )


def _with_format(file: RawFile, values: Sequence[Mapping[str, Any]], columns: Mapping[Role, str] | None) -> RawFile:
    """The format that most records have; ``columns`` where they have none that is known."""
    if (known := commonest_format(values)) is not None:
        return _stating(file, format=known)
    chosen = columns or guess_columns(values)
    names = list(texts_by_column(values))
    if chosen is None or not {chosen["user"], chosen["assistant"]} <= set(names):
        shown = ", ".join(names[:_COLUMNS_SHOWN]) or "none with text"
        wanted = (
            "cannot tell which of them asks and which answers" if chosen is None else "has none of the --columns given"
        )
        raise ConfigError(
            f"{file.path} is in no known format and {wanted}; its columns: {shown}. Name two of them: --columns "
            "user=COLUMN,assistant=COLUMN"
        )
    return _stating(file, format="columns", columns=dict(chosen))


def _estimated_records(file: RawFile, sample: Sequence[RawRecord]) -> int | None:
    if file.kind == "parquet":
        from pyarrow import parquet

        with open_seekable(file) as stream:
            return int(parquet.ParquetFile(stream).metadata.num_rows)
    if file.compression is not None:
        return None
    size = sum(_size_bytes(record.value) for record in sample)
    return max(len(sample), round(file.size_bytes * len(sample) / size))


def _size_bytes(value: Any) -> int:
    """About what a record takes in its file: JSON as it stands there, a row with its separators."""
    if isinstance(value, bytes):
        return len(value) + 1
    cells = value.values() if isinstance(value, Mapping) else [value]
    return sum(len(str(cell).encode()) + 1 for cell in cells)


def _languages(records: Sequence[Parsed], detector: LanguageDetector) -> dict[str, int]:
    found = Counter(
        detector.detect("\n".join(turn.content for turn in record.turns), record.meta.get("language"))
        for record in records
    )
    return dict(found.most_common())


def _tokens_of(record: Parsed) -> int:
    turns = sum(_tokens_in(turn.content) + _TOKENS_A_TURN for turn in record.turns)
    return turns + (0 if record.turns[0].role == "system" else _TOKENS_A_SYSTEM_PROMPT)


def _tokens_in(text: str) -> int:
    return -(-len(text.encode("utf-8", errors="replace")) // _BYTES_A_TOKEN)
