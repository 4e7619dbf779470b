"""Rules and verdicts as they are told, and as they are read back."""

import json
from typing import Any

import pytest

from serin.core.verdict import Rule, Side, Verdict


def judged(found: float | None, limit: float = 0.1, side: Side = "above", **more: Any) -> Rule:
    return Rule.judge(found=found, limit=limit, side=side, rule="f1 gain", **more)


@pytest.mark.parametrize(
    ("found", "side", "passes"),
    [(0.2, "above", True), (0.1, "above", False), (0.05, "below", True), (0.1, "below", False)],
)
def test_a_figure_at_its_limit_does_not_pass(found: float, side: Side, passes: bool) -> None:
    assert judged(found, side=side).passed == passes


def test_a_rule_tells_how_far_it_was_missed_and_only_then() -> None:
    assert str(judged(0.05)) == "f1 gain: 0.050, and has to be above 0.100, missed by 0.050"
    assert str(judged(0.25)) == "f1 gain: 0.250, and has to be above 0.100"
    assert str(judged(None)) == "f1 gain: was not measured, and has to be above 0.100"


def test_a_good_figure_of_too_few_questions_does_not_pass_and_says_of_how_many() -> None:
    rule = judged(0.25, measured=12, asked=50, coverage=0.9)
    assert not rule.passed
    assert str(rule) == (
        "f1 gain: 0.250, and has to be above 0.100, measured on 12 of 50 questions, and has to be on 90% of them"
    )
    assert "missed by 0.050, measured on 12 of 50" in str(judged(0.05, measured=12, asked=50, coverage=0.9))
    assert str(judged(None, measured=0, asked=50, coverage=0.9)).startswith("f1 gain: was not measured on any of 50")


@pytest.mark.parametrize(
    ("measured", "asked", "coverage", "passes"),
    [(45, 50, 0.9, True), (44, 50, 0.9, False), (55, 100, 0.55, True), (0, 0, 0.9, True)],
)
def test_the_least_share_itself_is_enough(measured: int, asked: int, coverage: float, passes: bool) -> None:
    assert judged(0.25, measured=measured, asked=asked, coverage=coverage).passed == passes


def test_a_verdict_comes_back_from_its_file_and_one_of_an_older_version_too() -> None:
    rules = (judged(0.25, measured=12, asked=50, coverage=0.9), judged(0.25))
    verdict = Verdict(digest="d" * 64, passed=False, rules=rules, skipped=("chrf: why",))
    assert Verdict.model_validate(json.loads(json.dumps(verdict.as_dict()))) == verdict
    old = {
        "digest": "d",
        "passed": False,
        "rules": [{"rule": "f1", "found": 0.0, "limit": 0.1, "passed": False, "x": 1}],
    }
    assert Verdict.model_validate(old).missed == ("f1: 0.000, and has to be above 0.100",)
