"""What raters get, what they cannot find out, and what stays here."""

import json
from pathlib import Path

import pytest

from serin.core.errors import InputError, UsageError
from serin.evaluate.human.export import export_sheets
from serin.evaluate.human.key import read_key

from .evaluations import CRITERIA, DIGEST, SECRET, data_in, export, line, rows_of, write_evaluation

LINES = [line(n) for n in range(12)]


def test_each_rater_gets_all_questions_in_an_order_and_on_sides_of_their_own(tmp_path: Path) -> None:
    exported = export(tmp_path, LINES, raters=2)
    one, two = (rows_of(exported.sheets / f"rater-{n}.csv") for n in (1, 2))
    questions = [row["question"] for row in one]
    assert sorted(questions) == sorted(line["question"] for line in LINES)
    assert questions != [line["question"] for line in LINES]
    assert questions != [row["question"] for row in two]
    sides = [{row["question"]: row["answer 1"].startswith("Article") for row in rows} for rows in (one, two)]
    assert [sum(side.values()) for side in sides] == [6, 6]
    assert sides[0] != sides[1]
    for row in one + two:
        number = row["question"].split()[3]
        assert {row["answer 1"], row["answer 2"]} == {
            f"Article {number} says: {number} months.",
            f"It depends, about {number}.",
        }


def test_form_and_spreadsheet_of_a_rater_are_one_sheet(tmp_path: Path) -> None:
    exported = export(tmp_path, LINES)
    data = data_in(exported.sheets / "rater-2.html")
    rows = rows_of(exported.sheets / "rater-2.csv")
    assert {row["sheet"] for row in rows} == {data["id"]}
    assert [row["item"] for row in rows] == [str(n) for n in range(1, 13)]
    assert [item["answer_1"] for item in data["items"]] == [row["answer 1"] for row in rows]


def test_nothing_that_raters_get_tells_whose_answers_are_where(tmp_path: Path) -> None:
    exported = export(tmp_path, LINES)
    for path in exported.sheets.iterdir():
        text = path.read_text(encoding="utf-8-sig")
        for word in ("candidate", "production", DIGEST[:8], SECRET.decode(), "q11"):
            assert word not in text, (path.name, word)
        assert '"base"' not in text
    swapped = [line(n, candidate=f"It depends, about {n}.", base=f"Article {n} says: {n} months.") for n in range(12)]
    other = export(tmp_path / "swapped", swapped)
    assert data_in(exported.sheets / "rater-1.html")["items"] != data_in(other.sheets / "rater-1.html")["items"]


def test_another_secret_gives_other_orders_and_sides(tmp_path: Path) -> None:
    evaluation = write_evaluation(tmp_path / "evaluation", LINES)
    for n, secret in enumerate((SECRET, SECRET[::-1], SECRET)):
        export_sheets(evaluation, tmp_path / f"human-{n}", 12, 1, CRITERIA, secret)
    first, second, again = (rows_of(tmp_path / f"human-{n}/sheets/rater-1.csv") for n in range(3))
    assert first == again
    assert [row["question"] for row in first] != [row["question"] for row in second]


def test_the_key_is_readable_by_its_owner_alone_and_lies_apart(tmp_path: Path) -> None:
    exported = export(tmp_path, LINES)
    assert exported.key.stat().st_mode & 0o777 == 0o600
    assert exported.key.parent != exported.sheets
    assert sorted(path.name for path in exported.sheets.iterdir()) == [
        "rater-1.csv",
        "rater-1.html",
        "rater-2.csv",
        "rater-2.html",
    ]
    key = read_key(exported.key)
    assert (key.digest, key.over, len(key.sheets), len(key.questions)) == (DIGEST, "base", 2, 12)


def test_the_same_answer_twice_is_shown_to_nobody(tmp_path: Path) -> None:
    exported = export(tmp_path, [*LINES, line(20, candidate="Yes.", base=" Yes.\n")])
    assert (exported.questions, exported.same) == (13, 1)
    assert len(rows_of(exported.sheets / "rater-1.csv")) == 12


def test_questions_are_drawn_from_the_test_set_by_their_ids(tmp_path: Path) -> None:
    others = [line(n, set="red_team") for n in range(50, 60)]
    exported = export(tmp_path, [*LINES, *others], questions=5)
    more = export(tmp_path / "more", [*others, *LINES[::-1]], questions=5)
    assert exported.questions == 5
    assert read_key(exported.key).questions.keys() == read_key(more.key).questions.keys()
    assert not {line["id"] for line in others} & read_key(exported.key).questions.keys()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    exported = export(tmp_path, LINES)
    before = exported.key.read_bytes()
    with pytest.raises(UsageError, match="holds something already"):
        export_sheets(tmp_path / "evaluation", tmp_path / "human", 12, 2, CRITERIA, SECRET)
    assert exported.key.read_bytes() == before
    (tmp_path / "empty").mkdir()
    export_sheets(tmp_path / "evaluation", tmp_path / "empty", 12, 2, CRITERIA, SECRET)


def test_a_model_that_answered_nothing_cannot_be_compared_with(tmp_path: Path) -> None:
    evaluation = write_evaluation(tmp_path / "evaluation", LINES)
    with pytest.raises(UsageError, match=r"production answered nothing .* it has base, candidate"):
        export_sheets(evaluation, tmp_path / "human", 12, 2, CRITERIA, SECRET, over="production")
    assert not (tmp_path / "human").exists()


def test_models_that_never_differ_leave_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        export(tmp_path, [line(n, candidate="x", base="x") for n in range(3)])


def test_a_damaged_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json is missing"):
        export_sheets(tmp_path / "nowhere", tmp_path / "human", 12, 2, CRITERIA, SECRET)
    broken = line(1)
    del broken["models"]["candidate"]["text"]
    with pytest.raises(InputError, match=r"answers\.jsonl:2 is no answer \(KeyError\('text'\)\)"):
        export(tmp_path, [line(0), broken])


def test_a_short_secret_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="could be guessed"):
        export_sheets(tmp_path, tmp_path / "human", 12, 2, CRITERIA, b"5")


@pytest.mark.parametrize(
    "text",
    [
        '</script><script>alert("x")</script>',
        "<!--<script>",
        "<b>&amp;\u2028'\"",
        "مرحبا، كيف الحال؟",
        "bell \x07, zero \x00, end",
    ],
)
def test_a_form_holds_any_text_as_text(tmp_path: Path, text: str) -> None:
    exported = export(tmp_path, [line(1, candidate=text, question=text)], raters=1)
    page = (exported.sheets / "rater-1.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 2
    (item,) = data_in(exported.sheets / "rater-1.html")["items"]
    wanted = text.replace("\x07", "\ufffd").replace("\x00", "\ufffd")
    assert item["question"] == wanted
    assert wanted in (item["answer_1"], item["answer_2"])


def test_criteria_are_shown_as_they_are_written(tmp_path: Path) -> None:
    evaluation = write_evaluation(tmp_path / "evaluation", LINES)
    export_sheets(evaluation, tmp_path / "human", 3, 1, "Is <b>this</b> right?", SECRET)
    page = (tmp_path / "human/sheets/rater-1.html").read_text(encoding="utf-8")
    assert "Is &lt;b&gt;this&lt;/b&gt; right?" in page


def test_a_form_asks_nothing_of_the_network(tmp_path: Path) -> None:
    exported = export(tmp_path, LINES, raters=1)
    page = (exported.sheets / "rater-1.html").read_text(encoding="utf-8")
    for reaching in ("http:", "https:", "//", "src=", "@import", "url(", "fetch(", "XMLHttp"):
        assert reaching not in page.replace("// ", ""), reaching
    assert "default-src 'none'" in page
    assert json.dumps(CRITERIA)[1:-1] in page
