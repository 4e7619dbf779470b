"""Whatever stands in a file becomes a record, a counted fault, or one clear error; never a loss or a traceback."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from serin.core.errors import ConfigError, InputError
from serin.core.params import SourceParams
from serin.prepare.raw.read import RawRecord, decoded, read_records
from serin.prepare.raw.sources import find_files

LIMIT = 4096
PAIR = {"question": "How long?", "answer": "Two months."}
LINE = json.dumps(PAIR).encode()


def read(path: Path, limit: int = LIMIT, **source: Any) -> list[RawRecord]:
    (file,) = find_files([SourceParams(path=str(path), **source)])
    return [decoded(record) for record in read_records(file, limit)]


def seen(records: list[RawRecord]) -> list[tuple[int, str | None]]:
    return [(record.line, record.fault) for record in records]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def written(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return written


def test_each_line_of_jsonl_is_a_record_or_a_fault_of_its_own(write: Callable[[str, bytes], Path]) -> None:
    lines = [
        b"\xef\xbb\xbf" + LINE,
        b"",
        b"{broken",
        b'{"question": "\xff\xfe"}',
        b'{"question": "\x00"}',
        b'{"question": "\\ud800"}',
        b'{"question": NaN}',
        b"[" * 5000,
        b'{"question": "' + b"x" * 2 * LIMIT + b'"}',
        LINE,
    ]
    records = read(write("a.jsonl", b"\r\n".join(lines)), limit=6000)
    assert seen(records) == [
        (1, None),
        (3, "not_json"),
        (4, "not_utf8"),
        (5, "not_json"),
        (6, "not_json"),
        (7, "not_json"),
        (8, "not_json"),
        (9, "too_large"),
        (10, None),
    ]
    assert records[0].value == records[-1].value == PAIR


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_as_long_as_the_limit_is_read_and_a_longer_one_is_passed_over(
    write: Callable[[str, bytes], Path], end: bytes
) -> None:
    fits = b'"' + b"x" * (LIMIT - 2) + b'"'
    records = read(write("a.jsonl", fits + b"\n" + fits + b" \n" + LINE + end))
    assert seen(records) == [(1, None), (2, "too_large"), (3, None)]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (b"[]", 0),
        (b"", 0),
        (b" \n ", 0),
        (b"[%s]" % LINE, 1),
        (b"[%s,\n %s , %s]\n" % (LINE, LINE, LINE), 3),
        (LINE, 1),
        (b"%s\n%s\n" % (LINE, LINE), 2),
        (b'{"data": [%s, %s], "version": 1}' % (LINE, LINE), 2),
        (b'{"version": "[1, 2]", "data": [%s]}' % LINE, 1),
        (b'{"data": [%s]}' % b", ".join([LINE] * 500), 500),
        (b'{"skip": {"deep": "[{"}, "data": [%s], "after": [1]}' % b", ".join([LINE] * 500), 500),
    ],
)
def test_the_records_of_a_json_file_are_found_in_every_layout(
    write: Callable[[str, bytes], Path], text: bytes, count: int
) -> None:
    records = read(write("a.json", text))
    assert [record.value for record in records] == [PAIR] * count
    assert [record.line for record in records] == list(range(1, count + 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[" + LINE, "ends in the middle"),
        (b"[" + LINE + b", {", "ends in the middle"),
        (b'[{"question": "', "ends in the middle"),
        (b"[%s] [%s]" % (LINE, LINE), "goes on after"),
        (b"%s, %s" % (LINE, LINE), "after record 1"),
        (b"question,answer", "begins with b'q'"),
        (b'{"a": [1], "b": [2]}', "2 arrays"),
        (b'{"a": "%s"}' % (b"x" * 2 * LIMIT), "without an array"),
        (b"\xff\xfe\x00", "begins with"),
    ],
)
def test_a_json_file_that_is_damaged_as_a_whole_is_one_error(
    write: Callable[[str, bytes], Path], text: bytes, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        read(write("a.json", text))


def test_a_record_of_a_json_array_that_is_too_large_or_too_deep_costs_no_other(
    write: Callable[[str, bytes], Path],
) -> None:
    bomb = b"[" * 2000 + b"]" * 2000
    big = b'{"question": "' + b"x, [{ " * 300_000 + b'"}'
    records = read(write("a.json", b"[%s, %s, %s, {broken}, %s]" % (LINE, big, bomb, LINE)))
    assert seen(records) == [(1, None), (2, "too_large"), (3, "not_json"), (4, "not_json"), (5, None)]


@given(
    values=st.lists(st.recursive(st.text() | st.integers(0, 9) | st.none(), st.lists, max_leaves=5)), pad=st.text(" \n")
)
def test_any_array_is_cut_into_its_elements(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], pad: str
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text("[" + f",{pad}".join(json.dumps(value) + pad for value in values) + "]")
    assert [record.value for record in read(path, limit=1 << 20)] == values


def test_a_csv_row_with_broken_quotes_or_columns_costs_that_row_alone(write: Callable[[str, bytes], Path]) -> None:
    rows = [b'"a, ""b""","two\nlines"', b'"open,x', b"c,d", b'"e"f,g', b"only", b"", b"\xff,h", b"i,j"]
    text = b"\xef\xbb\xbfquestion , answer\r\n" + b"\r\n".join(rows)
    records = read(write("a.csv", text))
    assert seen(records) == [
        (2, None),
        (4, "broken_quotes"),
        (5, None),
        (6, "broken_quotes"),
        (7, "wrong_columns"),
        (9, "not_utf8"),
        (10, None),
    ]
    assert records[0].value == {"question": 'a, "b"', "answer": "two\nlines"}
    assert records[-1].value == {"question": "i", "answer": "j"}


def test_a_csv_with_one_quote_too_many_loses_one_row_and_holds_no_more_than_the_limit(
    write: Callable[[str, bytes], Path],
) -> None:
    rows = b"".join(b"q%d,a%d\n" % (i, i) for i in range(3000))
    records = read(write("a.csv", b'question,answer\n"open,x\n' + rows))
    assert seen(records)[0] == (2, "broken_quotes")
    assert len(records) == 3001
    assert not any(record.fault for record in records[1:])


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ";"), ("a.tsv", "\t"), ("a.csv", "|")])
def test_the_delimiter_is_found(write: Callable[[str, bytes], Path], name: str, delimiter: str) -> None:
    assert read(write(name, f"question{delimiter}answer\na{delimiter}b, c\n".encode()))[0].value == {
        "question": "a",
        "answer": "b, c",
    }


@pytest.mark.parametrize("header", [b"a,a\n", b"a,\n"])
def test_a_csv_whose_columns_have_no_names_of_their_own_is_refused(
    write: Callable[[str, bytes], Path], header: bytes
) -> None:
    with pytest.raises(InputError, match="one name a column"):
        read(write("a.csv", header))


@pytest.mark.parametrize(
    ("encoding", "declared"), [("gb18030", "gb18030"), ("utf-16", "utf-8"), ("utf-8-sig", "utf-8")]
)
def test_other_encodings_are_read_by_their_name_or_their_mark(
    write: Callable[[str, bytes], Path], encoding: str, declared: str
) -> None:
    asked = {"question": "试用期多久？" * 50, "answer": "六个月。"}
    line = json.dumps(asked, ensure_ascii=False).encode(encoding)
    assert read(write("a.jsonl", line), encoding=declared)[0].value == asked
    table = f"question,answer\n{asked['question']},{asked['answer']}\n".encode(encoding)
    assert read(write("a.csv", table), encoding=declared)[0].value == asked


def test_bytes_that_an_encoding_does_not_have_are_a_fault_and_an_unknown_encoding_an_error(
    write: Callable[[str, bytes], Path],
) -> None:
    path = write("a.jsonl", '{"question": "试'.encode("gb18030") + b'\xff"}\n' + LINE)
    assert seen(read(path, encoding="gb18030")) == [(1, "not_utf8"), (2, None)]
    with pytest.raises(ConfigError, match="klingon"):
        read(path, encoding="klingon")


@pytest.mark.parametrize(("suffix", "codec"), [("gz", "gzip"), ("zst", "zstd")])
def test_packed_files_are_read_and_one_that_is_cut_short_or_something_else_is_an_error(
    write: Callable[[str, bytes], Path], suffix: str, codec: str
) -> None:
    packed = pyarrow.compress(b"\n".join([LINE] * 20_000), codec, asbytes=True)
    name = f"a.jsonl.{suffix}"
    assert len(read(write(name, packed))) == 20_000
    for damaged in (packed[:-5], packed[: len(packed) // 2], b"no such thing" * 20):
        with pytest.raises(InputError, match=r"cut short, damaged or not"):
            read(write(name, damaged))
    assert read(write(name, b"")) == []


def test_two_members_of_a_gzip_file_are_both_read(write: Callable[[str, bytes], Path]) -> None:
    assert len(read(write("a.jsonl.gz", gzip.compress(LINE + b"\n") * 2))) == 2


def test_parquet_is_read_with_lists_of_turns_and_a_damaged_one_is_an_error(
    write: Callable[[str, bytes], Path], tmp_path: Path
) -> None:
    turns = [{"role": "user", "content": "a", "tool_calls": None}, {"role": "assistant", "content": "b"}]
    parquet.write_table(pyarrow.table({"messages": [turns] * 600, "n": list(range(600))}), tmp_path / "a.parquet")
    records = read(tmp_path / "a.parquet")
    assert [record.line for record in records] == list(range(1, 601))
    assert records[-1].value["messages"][0]["content"] == "a"
    assert records[-1].value["n"] == 599
    with pytest.raises(InputError, match="no Parquet file"):
        read(write("b.parquet", (tmp_path / "a.parquet").read_bytes()[:-20]))


def test_what_names_nothing_or_a_file_of_an_unknown_kind_is_refused(write: Callable[[str, bytes], Path]) -> None:
    path = write("notes.docx", b"")
    for source, says in ((path, "unknown kind"), (path.with_name("none.jsonl"), "no data"), (path.parent, "no data")):
        with pytest.raises(InputError, match=says):
            find_files([SourceParams(path=str(source))])


def test_files_are_named_each_once_in_an_order_of_names_with_given_tests_first(tmp_path: Path) -> None:
    for name in ("b/x.jsonl", "a/x.jsonl", "a/y.csv.gz", "a/.hidden/z.json", "t.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    sources = [
        SourceParams(path=str(tmp_path / "a")),
        SourceParams(path=str(tmp_path / "**/*.jsonl")),
        SourceParams(path=str(tmp_path / "t.jsonl"), split="test"),
    ]
    found = find_files(sources)
    assert [Path(file.path).relative_to(tmp_path).as_posix() for file in found] == [
        "t.jsonl",
        "a/x.jsonl",
        "a/y.csv.gz",
        "b/x.jsonl",
    ]
    assert len({file.name for file in found}) == len(found)
    assert [file.name for file in found][::2] == ["t.jsonl", "y.csv.gz"]
