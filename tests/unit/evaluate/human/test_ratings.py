"""Ratings that came back as they should, and every way in which they did not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from serin.core.errors import InputError
from serin.evaluate.human.export import Exported
from serin.evaluate.human.key import read_key
from serin.evaluate.human.ratings import Rating, read_ratings

from .evaluations import data_in, export, fill, line, prefers_candidate, rows_of, write_rows

Rows = list[dict[str, str]]
BETTER = "better (1 / 2 / 0 if equal)"


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    return export(tmp_path, [line(n) for n in range(10)])


def returned(exported: Exported, rater: int = 1) -> Path:
    return fill(exported.sheets / f"rater-{rater}.csv", prefers_candidate)


def read(exported: Exported, *paths: Path, partial: bool = False) -> list[Rating]:
    return read_ratings(paths, read_key(exported.key), partial)


def test_ratings_are_opinions_on_the_models_whatever_the_side(exported: Exported) -> None:
    path = returned(exported)
    ratings = read(exported, path)
    assert [rating.preferred for rating in ratings] == ["candidate"] * 10
    assert {rating.named for rating in ratings} == {1, 2}
    assert {rating.question for rating in ratings} == {f"q{n}" for n in range(10)}
    fill(path, lambda row: {"1": "2", "2": "1"}[prefers_candidate(row)])
    assert {rating.preferred for rating in read(exported, path)} == {"other"}
    fill(path, lambda _: "0")
    assert {rating.preferred for rating in read(exported, path)} == {"tie"}


def test_rows_may_come_in_any_order_and_comments_come_with_them(exported: Exported) -> None:
    path = returned(exported)
    rows = rows_of(path)
    rows[3]["comment"] = "both are wrong"
    write_rows(path, rows[::-1])
    assert sorted(rating.comment for rating in read(exported, path))[-1] == "both are wrong"


def test_what_the_form_saves_is_read(exported: Exported, tmp_path: Path) -> None:
    data = data_in(exported.sheets / "rater-2.html")
    path = tmp_path / "ratings.csv"
    rows = [{"sheet": data["id"], "item": str(n), "better": "0", "comment": "'=c"} for n in range(1, 11)]
    write_rows(path, rows)
    ratings = read(exported, path)
    assert [(r.rater, r.preferred, r.comment) for r in ratings] == [(2, "tie", "=c")] * 10


def alter(at: int, **cells: str) -> Callable[[Rows], Rows]:
    return lambda rows: [{**row, **cells} if i == at else row for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (alter(2, **{BETTER: "3"}), "item 3: better is '3', expected 1, 2, or 0 if equal"),
        (alter(2, **{BETTER: "A"}), "item 3: better is 'A'"),
        (alter(2, **{BETTER: ""}), r"1 of 10 items are not rated \(3\)"),
        (lambda rows: rows[:2], r"8 of 10 items are not rated \(3, 4, 5, 6, 7, 8, 9, 10\)"),
        (lambda rows: [*rows, rows[4]], "csv:12 is item 5, and so is line 6: keep one of them"),
        (alter(0, item="11"), "csv:2 has the item '11': expected a number from 1 to 10"),
        (alter(0, item="-1"), "csv:2 has the item '-1'"),
        (alter(0, item="²"), "csv:2 is item 2, and so|csv:3 is item 2, and so"),
        (alter(6, **{"answer 2": "Better words."}), "item 7: its texts were changed"),
        (alter(6, question="?"), "item 7: its texts were changed"),
        (alter(0, sheet="0123456789abcdef"), "csv:2 is of the sheet '0123456789abcdef', which this key.json does not"),
        (lambda _: [], "has no ratings"),
    ],
)
def test_a_fault_is_named_with_its_place(exported: Exported, change: Callable[[Rows], Rows], words: str) -> None:
    path = returned(exported)
    rows = rows_of(path)
    write_rows(path, change(rows) or [dict.fromkeys(rows[0], "")])
    with pytest.raises(InputError, match=words):
        read(exported, path)


def test_all_faults_of_all_files_are_told_at_once(exported: Exported, tmp_path: Path) -> None:
    one, two = returned(exported, 1), returned(exported, 2)
    rows = rows_of(one)
    write_rows(one, [*alter(0, **{BETTER: "9"})(rows[:-1]), {**rows[-1], "question": "changed"}])
    again = tmp_path / "again.csv"
    again.write_bytes(two.read_bytes())
    with pytest.raises(InputError) as told:
        read(exported, one, tmp_path / "missing.csv", two, again)
    said = str(told.value)
    assert said.startswith("the ratings have 4 faults:\n")
    for words in ("better is '9'", "its texts were changed", "missing.csv cannot be read", "is of rater 2, and so is"):
        assert words in said


def test_a_sheet_of_another_export_is_refused(exported: Exported, tmp_path: Path) -> None:
    other = export(tmp_path / "other", [line(n) for n in range(9)])
    with pytest.raises(InputError, match="take the key of the same export"):
        read(exported, returned(other))


def test_many_faults_do_not_flood(tmp_path: Path) -> None:
    exported = export(tmp_path, [line(n) for n in range(60)], raters=1)
    path = fill(exported.sheets / "rater-1.csv", lambda _: "x")
    with pytest.raises(InputError, match="60 faults") as told:
        read(exported, path)
    assert str(told.value).count("\n") == 41
    assert str(told.value).endswith("and 20 more")


def test_what_is_rated_so_far_is_taken_where_that_is_asked_for(exported: Exported) -> None:
    path = returned(exported)
    rows = rows_of(path)
    write_rows(path, alter(2, **{BETTER: ""})(rows)[:7])
    assert len(read(exported, path, partial=True)) == 6


def test_something_else_than_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text('{"digest": 1}')
    with pytest.raises(InputError, match=r"is no key to sheets .* take the key\.json of"):
        read_key(tmp_path / "key.json")
