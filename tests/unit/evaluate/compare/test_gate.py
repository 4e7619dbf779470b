"""The gate: rules over figures."""

from collections.abc import Mapping

import pytest

from serin.core.params import RuleParams
from serin.core.verdict import Verdict
from serin.evaluate.compare.comparison import Gain
from serin.evaluate.compare.figures import Coverage, Figures, Place
from serin.evaluate.compare.gate import judge

AGAINST = f"law-qa@{'a' * 64}"


def gain(low: float, middle: float, high: float) -> Gain:
    return Gain(0.5 + middle, 0.5, middle, low, high, 0.01, 0.05, 40, 20)


def figures(
    base: Mapping[Place, Gain] | None = None,
    production: Mapping[Place, Gain] | None = None,
    means: Mapping[Place, float] | None = None,
    unknown: Mapping[Place, float] | None = None,
    coverage: Mapping[str, Mapping[Place, Coverage]] | None = None,
) -> Figures:
    gains = {"base": base or {}} | ({"production": production} if production is not None else {})
    adjusted = {over: dict.fromkeys(by, 0.01) for over, by in gains.items()}
    of_candidate = {place: g.candidate for by in gains.values() for place, g in by.items()} | dict(means or {})
    return Figures(0.95, {"candidate": of_candidate}, gains, adjusted, unknown or {}, coverage=coverage or {})


def decide(rule: RuleParams, found: Figures, against: str | None = None) -> Verdict:
    return judge("d" * 64, against, [rule], found)


F1 = ("test", "token_f1", "all")
EN, ZH = ("test", "token_f1", "language=en"), ("test", "token_f1", "language=zh")


def test_a_gain_has_to_be_above_by_the_lower_end_of_its_interval() -> None:
    rule = RuleParams(metric="token_f1", over="base", above=0.1)
    assert decide(rule, figures({F1: gain(0.11, 0.2, 0.3)})).passed
    no = decide(rule, figures({F1: gain(0.09, 0.2, 0.3)}))
    assert not no.passed
    assert no.missed == (
        "token_f1 gain, lower bound, over base in all: 0.090, and has to be above 0.100, missed by 0.010",
    )
    assert decide(rule.model_copy(update={"bound": "mean"}), figures({F1: gain(0.09, 0.2, 0.3)})).passed


def test_not_worse_looks_at_the_upper_end() -> None:
    rule = RuleParams(metric="unsafe", over="production", questions="red_team", below=0.05)
    place = ("red_team", "unsafe", "all")
    assert decide(rule, figures(production={place: gain(-0.02, 0.0, 0.04)}), AGAINST).passed
    assert not decide(rule, figures(production={place: gain(-0.02, 0.0, 0.06)}), AGAINST).passed


def test_a_field_stands_for_each_of_its_slices_and_all_have_to_hold() -> None:
    rule = RuleParams(metric="token_f1", over="base", slices=["language"], above=0.0)
    verdict = decide(rule, figures({EN: gain(0.2, 0.3, 0.4), ZH: gain(-0.1, 0.3, 0.4), F1: gain(0.1, 0.2, 0.3)}))
    assert [(r.slice, r.passed) for r in verdict.rules] == [("language=en", True), ("language=zh", False)]
    assert not verdict.passed


def test_without_production_its_rules_do_not_apply_and_that_is_said() -> None:
    rules = [
        RuleParams(metric="token_f1", over="base", above=0.0),
        RuleParams(metric="token_f1", over="production", above=0.0),
    ]
    verdict = judge("d" * 64, None, rules, figures({F1: gain(0.1, 0.2, 0.3)}))
    assert verdict.passed
    assert verdict.skipped == ("token_f1 over production on test: no production model is pinned",)


def test_a_verdict_without_a_rule_that_applied_is_a_no() -> None:
    assert not decide(RuleParams(metric="token_f1", over="production", above=0.0), figures()).passed


def test_what_an_encoder_does_not_know_is_never_gated_on() -> None:
    rule = RuleParams(metric="bertscore", over="base", slices=["language"], above=0.0)
    en, zh = ("test", "bertscore", "language=en"), ("test", "bertscore", "language=zh")
    verdict = decide(rule, figures({en: gain(0.1, 0.2, 0.3)}, unknown={zh: 0.7}))
    assert [r.slice for r in verdict.rules] == ["language=en"]
    assert verdict.skipped == ("bertscore on test in language=zh: the encoder does not know 70% of the tokens",)


@pytest.mark.parametrize("part", ["language=fr", "all"])
def test_a_rule_that_finds_nothing_is_a_no(part: str) -> None:
    rule = RuleParams(metric="token_f1", over="base", slices=[part], above=-1.0)
    verdict = decide(rule, figures())
    assert not verdict.passed
    assert "was not measured" in verdict.missed[0]


def test_a_mean_of_the_candidate_itself_may_have_a_limit() -> None:
    rule = RuleParams(metric="stopped", above=0.95)
    place = ("test", "stopped", "all")
    assert decide(rule, figures(means={place: 0.99})).passed
    assert not decide(rule, figures(means={place: 0.95})).passed
    assert decide(rule, figures(means={place: 0.9})).as_dict()["rules"][0]["missed_by"] == pytest.approx(0.05)


def test_a_gain_over_too_few_questions_is_a_no_that_says_of_how_many() -> None:
    rule = RuleParams(metric="preference", over="base", above=0.0)
    place = ("test", "preference", "all")
    found = figures({place: gain(0.2, 0.3, 0.4)}, coverage={"base": {place: Coverage(40, 50)}})
    verdict = decide(rule, found)
    assert not verdict.passed
    assert "measured on 40 of 50 questions, and has to be on 90% of them" in verdict.missed[0]
    assert decide(rule.model_copy(update={"coverage": 0.8}), found).passed


def test_a_mean_of_too_few_questions_is_a_no_too() -> None:
    place = ("red_team", "unsafe", "all")
    rule = RuleParams(metric="unsafe", questions="red_team", below=0.1)
    few = figures(means={place: 0.0}, coverage={"candidate": {place: Coverage(3, 30)}})
    assert not decide(rule, few).passed
    assert decide(rule, figures(means={place: 0.0}, coverage={"candidate": {place: Coverage(30, 30)}})).passed


def test_a_slice_that_nothing_was_measured_in_is_not_passed_over() -> None:
    rule = RuleParams(metric="preference", over="base", slices=["language"], above=0.0)
    en, zh = ("test", "preference", "language=en"), ("test", "preference", "language=zh")
    covered = {"base": {en: Coverage(20, 20), zh: Coverage(0, 20)}}
    verdict = decide(rule, figures({en: gain(0.2, 0.3, 0.4)}, coverage=covered))
    assert [(r.slice, r.passed) for r in verdict.rules] == [("language=en", True), ("language=zh", False)]
    assert "was not measured on any of 20 questions" in verdict.missed[0]
