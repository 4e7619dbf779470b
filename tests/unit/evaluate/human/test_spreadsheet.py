"""Cells that spreadsheets take for text, and what spreadsheets make of a sheet when they save it."""

import csv
from pathlib import Path

import pytest

from serin.core.errors import InputError
from serin.evaluate.human.spreadsheet import guarded, read_rows, unguarded

from .evaluations import export, fill, line, prefers_candidate, rows_of, write_rows

RISKY = ["=1+1", "+49", "-x", "@SUM(A1)", "＝1+1", "\t=1", "'quoted", "19", "2026-11-25", "3/4", "50 %", "1.5", "…"]
PLAIN = ["Article 19.", "试用期", "a=b", "x", "", "Up to 6 months", "“quoted”, he said"]


@pytest.mark.parametrize("text", RISKY)
def test_what_would_be_a_formula_or_a_number_is_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stands_as_it_is(text: str) -> None:
    assert guarded(text) == text
    assert unguarded(text) == text


def test_a_sheet_opens_in_a_spreadsheet_as_utf_8_and_holds_no_formula(tmp_path: Path) -> None:
    lines = [line(1, candidate='=HYPERLINK("http://x","y")', base="试用期\n最长六个月", question="+1", reference="-1")]
    path = export(tmp_path, lines, raters=1).sheets / "rater-1.csv"
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    (row,) = rows_of(path)
    assert {row["answer 1"], row["answer 2"]} == {'\'=HYPERLINK("http://x","y")', "试用期\n最长六个月"}
    assert (row["question"], row["reference"]) == ("'+1", "'-1")


@pytest.mark.parametrize(
    "how",
    [
        {"delimiter": ";"},
        {"delimiter": "\t", "encoding": "utf-16"},
        {"encoding": "utf-8"},
        {"encoding": "gb18030"},
        {"quoting": csv.QUOTE_ALL, "lineterminator": "\n"},
    ],
    ids=["semicolons", "unicode text", "no byte order mark", "Chinese", "unix"],
)
def test_what_spreadsheets_change_when_they_save_is_understood(tmp_path: Path, how: dict[str, object]) -> None:
    lines = [line(1, candidate="one, two; three\nfour 试用期", base='"so", he said'), line(2)]
    path = fill(export(tmp_path, lines, raters=1).sheets / "rater-1.csv", prefers_candidate)
    before = list(read_rows(path))
    write_rows(path, rows_of(path), **how)
    after = list(read_rows(path))
    assert [row.texts.digest for row in after if row.texts] == [row.texts.digest for row in before if row.texts]
    assert [(row.item, row.better) for row in after] == [(row.item, row.better) for row in before]


@pytest.mark.parametrize(
    ("cell", "meant"), [(" 1 ", "1"), ("１", "1"), ("2.0", "2"), ("'0", "0"), ("", ""), ("A", "A"), ("1,0", "1,0")]
)
def test_ratings_are_read_as_people_write_them(tmp_path: Path, cell: str, meant: str) -> None:
    path = tmp_path / "ratings.csv"
    write_rows(path, [{"sheet": "s", "item": "1", "better": cell, "comment": ""}])
    (row,) = read_rows(path)
    assert row.better == meant


def test_rows_are_named_by_the_line_that_they_end_on(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text('sheet,item,better,comment\ns,1,2,"two\nlines"\n\ns,2,1,\n')
    assert [(row.line, row.item, row.comment) for row in read_rows(path)] == [(3, "1", "two\nlines"), (5, "2", "")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"sheet,item\nx,1\n", "has no column better: expected a sheet that was filled in"),
        (b"", "has no column sheet, item, better"),
        ("sheet,item,better,comment\nx,1,1,café\n".encode("cp1252"), "is not UTF-8: save it as 'CSV UTF-8'"),
        (b"PK\x03\x04\xff\xd8", "is not UTF-8"),
        (b"sheet,item,better\n" + b"x" * 200_000, "is not CSV .field larger"),
    ],
)
def test_a_file_that_is_no_sheet_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words):
        list(read_rows(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        list(read_rows(tmp_path / "none.csv"))
