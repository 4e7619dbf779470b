"""From scores to every mean and gain."""

import math

import pytest

from serin.core.conversation import Conversation, Message
from serin.core.params import EvaluateParams
from serin.evaluate.compare.figures import MOST_UNKNOWN, ScoredSet, measure
from serin.evaluate.metrics.metric import Scores

PARAMS = EvaluateParams(resamples=200, slices=["language"])
QUESTIONS = [
    Conversation(
        (Message("user", f"q{i}"), Message("assistant", "a")), {"id": str(i), "language": "en" if i < 6 else "zh"}
    )
    for i in range(12)
]


def scores(value: float, **more: object) -> Scores:
    return Scores((value,) * 12, **more)  # type: ignore[arg-type]  # fields by name


def test_every_model_has_means_and_the_candidate_has_gains_over_each_other_one() -> None:
    of_models = {"candidate": {"f1": scores(0.8)}, "base": {"f1": scores(0.3)}, "production": {"f1": scores(0.7)}}
    told = measure([("test", ScoredSet(QUESTIONS, of_models))], PARAMS, {"f1": "higher"}).as_dict()
    expected = {"all": 0.8, "language=en": 0.8, "language=zh": 0.8}
    assert told["means"]["candidate"]["test"]["f1"] == pytest.approx(expected)
    assert told["means"]["production"]["test"]["f1"]["all"] == pytest.approx(0.7)
    assert told["gains"]["base"]["test"]["f1"]["language=zh"]["gain"] == pytest.approx(0.5)
    assert told["gains"]["production"]["test"]["f1"]["all"]["gain"] == pytest.approx(0.1)
    assert told["gains"]["base"]["test"]["f1"]["all"]["questions"] == 12


def test_questions_that_a_metric_says_nothing_about_count_nowhere() -> None:
    half = Scores((1.0, None) * 6)
    told = measure(
        [("test", ScoredSet(QUESTIONS, {"candidate": {"m": half}, "base": {"m": scores(0.0)}}))], PARAMS, {}
    ).as_dict()
    assert told["gains"]["base"]["test"]["m"]["all"]["questions"] == 6
    assert told["means"]["candidate"]["test"]["m"]["all"] == 1.0


def test_a_slice_that_an_encoder_does_not_know_is_not_measured() -> None:
    known = Scores((0.9,) * 12, unknown=((0, 20),) * 6 + ((10, 20),) * 6)
    told = measure(
        [("test", ScoredSet(QUESTIONS, {"candidate": {"bert": known}, "base": {"bert": known}}))], PARAMS, {}
    ).as_dict()
    assert told["unknown"]["test"]["bert"] == {"all": 0.25, "language=zh": 0.5}
    assert set(told["gains"]["base"]["test"]["bert"]) == {"language=en"}
    assert MOST_UNKNOWN < 0.25


def test_p_values_are_corrected_for_all_gains_over_one_model() -> None:
    noisy = Scores(tuple(0.4 + 0.1 * (i % 3) for i in range(12)))
    models = {"candidate": {"a": noisy, "b": noisy}, "base": {"a": scores(0.45), "b": scores(0.45)}}
    told = measure([("test", ScoredSet(QUESTIONS, models))], PARAMS, {}).as_dict()
    gains = told["gains"]["base"]["test"]
    assert all(g["p_adjusted"] >= g["p"] for by_slice in gains.values() for g in by_slice.values())
    assert any(g["p_adjusted"] > g["p"] for by_slice in gains.values() for g in by_slice.values())


def test_perplexity_is_an_exponential_of_a_mean_over_tokens() -> None:
    weights = (10.0,) * 6 + (30.0,) * 6
    values = (1.0,) * 6 + (2.0,) * 6
    candidate, base = Scores(values, weights, True), Scores(tuple(v + 0.1 for v in values), weights, True)
    told = measure(
        [("general", ScoredSet(QUESTIONS, {"candidate": {"perplexity": candidate}, "base": {"perplexity": base}}))],
        PARAMS,
        {},
    ).as_dict()
    assert told["means"]["candidate"]["general"]["perplexity"]["all"] == pytest.approx(math.exp(1.75))
    assert told["gains"]["base"]["general"]["perplexity"]["all"]["gain"] == pytest.approx(math.exp(-0.1) - 1)


def test_a_preference_is_wins_minus_losses_and_all_wins_are_not_certain() -> None:
    wins, losses = Scores((1.0,) * 9 + (0.0,) * 2 + (None,)), Scores((0.0,) * 11 + (None,))
    told = measure([("test", ScoredSet(QUESTIONS, {}, {"base": {"preference": (wins, losses)}}))], PARAMS, {}).as_dict()
    preference = told["gains"]["base"]["test"]["preference"]["all"]
    assert preference["gain"] == pytest.approx(9 / 11)
    assert preference["ci_low"] < 0.6


def test_what_a_judge_left_out_is_counted_and_what_a_metric_is_not_meant_for_is_not() -> None:
    silent = Scores((1.0,) * 4 + (None,) * 8, missing=frozenset({6, 7, 8}))
    figures = measure([("test", ScoredSet(QUESTIONS, {}, {"base": {"preference": (silent, silent)}}))], PARAMS, {})
    covered = figures.coverage["base"]["test", "preference", "all"]
    assert (covered.measured, covered.asked) == (4, 7)
    assert ("test", "preference", "language=zh") not in figures.gains["base"]
    assert figures.coverage["base"]["test", "preference", "language=zh"].measured == 0
    told = figures.as_dict()["partly_measured"]["base"]["test"]["preference"]
    assert told == {"all": {"measured": 4, "asked": 7}, "language=zh": {"measured": 0, "asked": 3}}


def test_a_value_of_one_model_alone_is_a_miss_of_the_other() -> None:
    half = Scores((1.0, None) * 6)
    figures = measure(
        [("test", ScoredSet(QUESTIONS, {"candidate": {"m": half}, "base": {"m": scores(0.0)}}))], PARAMS, {}
    )
    assert figures.coverage["candidate"]["test", "m", "all"].asked == 12
    whole = measure([("test", ScoredSet(QUESTIONS, {"candidate": {"m": half}, "base": {"m": half}}))], PARAMS, {})
    assert whole.coverage["base"]["test", "m", "all"].asked == 6
    assert whole.as_dict()["partly_measured"] == {}
