"""Gains laid out as a forest plot: what each tells, in which order, and what is left out."""

from typing import Any

import pytest

from serin.evaluate.report.panels import Reading, panels_of, reading_of


def gain(middle: float, low: float, high: float, p: float = 0.001, questions: int = 40) -> dict[str, Any]:
    return {
        "gain": middle,
        "ci_low": low,
        "ci_high": high,
        "p": p,
        "p_adjusted": p,
        "smallest_effect": 0.1,
        "questions": questions,
    }


def metrics(parts: dict[str, dict[str, Any]], unknown: dict[str, float] | None = None) -> dict[str, Any]:
    return {
        "confidence": 0.95,
        "better": {"token_f1": "higher"},
        "means": {"candidate": {"test": {"token_f1": dict.fromkeys(parts, 0.5)}}},
        "gains": {"base": {"test": {"token_f1": parts}}},
        "unknown": {"test": {"token_f1": unknown or {}}},
    }


@pytest.mark.parametrize(
    ("told", "better", "reading"),
    [
        (gain(0.2, 0.1, 0.3), "higher", "better"),
        (gain(-0.2, -0.3, -0.1), "higher", "worse"),
        (gain(-0.2, -0.3, -0.1), "lower", "better"),
        (gain(0.2, 0.1, 0.3), "lower", "worse"),
        (gain(0.2, 0.1, 0.3), "neither", "different"),
        (gain(0.2, 0.1, 0.3, p=0.051), "higher", "unclear"),
        (gain(0.2, -0.1, 0.5), "higher", "unclear"),
        (gain(0.0, 0.0, 0.0), "higher", "unclear"),
    ],
)
def test_a_gain_is_better_or_worse_only_where_interval_and_corrected_p_agree(
    told: dict[str, Any], better: str, reading: Reading
) -> None:
    assert reading_of(told, better, 0.95) == reading


def test_languages_stand_below_the_whole_and_finer_slices_are_folded_lengths_by_length() -> None:
    names = ("topic=b", "length=long", "length=short", "language=zh", "all", "topic=a", "length=medium", "language=en")
    parts = {part: gain(0.1, 0, 0.2, questions=40 if part == "all" else 20) for part in names}
    (panel,) = panels_of(metrics(parts), "test")
    assert [row.name for row in panel.rows] == ["all questions", "English", "Chinese"]
    lengths = [f"{length} questions" for length in ("short", "medium", "long")]
    assert [row.name for row in panel.more] == ["topic a", "topic b", *lengths]


def test_a_slice_that_holds_every_question_is_not_repeated() -> None:
    parts = {part: gain(0.1, 0, 0.2) for part in ("all", "language=en")}
    (panel,) = panels_of(metrics(parts), "test")
    assert [row.name for row in panel.rows] == ["all questions"]


def test_lines_of_one_metric_share_an_axis_that_holds_zero() -> None:
    parts = {"all": gain(0.4, 0.3, 0.5), "language=zh": gain(0.1, 0.05, 0.15, questions=20)}
    (panel,) = panels_of(metrics(parts), "test")
    whole, chinese = (row.lines[0] for row in panel.rows)
    assert 0 < panel.zero < chinese.low < chinese.at < chinese.high < whole.low < whole.at < whole.high < 100
    assert [label for _, label in panel.ticks] == ["0", "+0.1", "+0.2", "+0.3", "+0.4", "+0.5"]


def test_what_was_not_measured_has_a_row_without_a_line() -> None:
    parts = {"language=en": gain(0.1, 0, 0.2, questions=20)}
    (panel,) = panels_of(metrics(parts, {"all": 0.3571, "language=zh": 0.7142}), "test")
    assert [(row.name, row.unknown) for row in panel.rows] == [
        ("all questions", "35.7\N{NO-BREAK SPACE}%"),
        ("English", None),
        ("Chinese", "71.4\N{NO-BREAK SPACE}%"),
    ]
    assert panels_of(metrics(parts), "general") == []
