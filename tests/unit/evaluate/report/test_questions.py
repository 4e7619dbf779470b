"""Wins, ties, losses and differences, question by question."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from serin.evaluate.report.questions import differences, headline, spread, tally


def answer(id_: str, candidate: float | None, base: float | None) -> dict[str, Any]:
    models = {name: {"scores": {"m": score}} for name, score in (("candidate", candidate), ("base", base))}
    return {"set": "test", "id": id_, "models": models}


ROWS = [
    answer("a", 1.0, 0.0),
    answer("b", 0.25, 0.75),
    answer("c", None, 0.7),
    answer("d", 0.5, 0.5),
    answer("e", 0.0, 0.5),
]


def test_the_worst_come_first_and_unscored_questions_count_nowhere() -> None:
    found = differences(ROWS, "m", "base", "higher")
    assert [difference.answer["id"] for difference in found] == ["b", "e", "d", "a"]
    counted = tally(found)
    assert (counted.wins, counted.ties, counted.losses, counted.total) == (1, 1, 2, 4)
    assert differences(ROWS, "m", "production", "higher") == []


def test_where_less_is_better_less_wins() -> None:
    found = differences(ROWS, "m", "base", "lower")
    assert [difference.answer["id"] for difference in found] == ["a", "d", "b", "e"]
    assert found[0].by == -1.0
    assert found[0].candidate == 1.0


@given(st.lists(st.floats(-2, 2), max_size=40))
def test_every_difference_falls_into_the_bin_of_its_size(by: list[float]) -> None:
    found = differences([answer(str(n), value, 0.0) for n, value in enumerate(by)], "m", "base", "higher")
    bins = spread(found)
    assert sum(each.questions for each in bins) == len(by)
    for side, sign in (("better", 1), ("tie", 0), ("worse", -1)):
        in_side = sum(each.questions for each in bins if each.side == side)
        assert in_side == sum((value > 0) - (value < 0) == sign for value in by)
    assert all(a.high <= b.low + 1e-12 for a, b in pairwise(bins))


def test_shares_have_a_bin_for_each_outcome() -> None:
    bins = spread(differences([answer("a", 1, 0), answer("b", 0, 1), answer("c", 1, 1)], "m", "base", "higher"))
    assert [each.questions for each in bins if each.questions] == [1, 1, 1]
    assert (bins[0].low, bins[-1].high) == (-1.0, 1.0)


def test_the_metric_that_matters_is_the_first_rule_s_or_the_first_with_a_side() -> None:
    better = {
        "length": "neither",
        "chrf": "higher",
        "token_f1": "higher",
        "perplexity": "lower",
        "preference": "higher",
        "rouge_l": "higher",
    }
    figures = {"better": better, "gains": {"base": {"test": {metric: {} for metric in better}}}}
    rule = {"over": "base", "on": "test", "metric": "rouge_l"}
    others = [
        {**rule, "on": "general"},
        {**rule, "over": None},
        *({**rule, "metric": m} for m in ("length", "perplexity", "preference")),
    ]
    assert headline(figures, {"rules": [*others, rule]}) == "rouge_l"
    assert headline(figures, {"rules": others}) == "token_f1"
    figures["gains"]["base"]["test"].pop("token_f1")
    assert headline(figures, {"rules": []}) == "chrf"
    assert headline({"better": better, "gains": {}}, {"rules": []}) is None
