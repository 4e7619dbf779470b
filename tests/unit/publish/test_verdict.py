"""The check alone: a pure function of verdict, production and override."""

from typing import Any

import pytest

from serin.core.errors import GateError, InputError
from serin.core.revision import Revision
from serin.core.verdict import Verdict
from serin.publish.verdict import check, objection_to, parse_verdict

A, B = Revision("law", "a" * 64), Revision("law", "b" * 64)


def verdict(**changes: Any) -> Verdict:
    told = {"digest": A.digest, "against": None, "passed": True, "rules": [rule()], **changes}
    return parse_verdict(told, "verdict.json")


def rule(**changes: Any) -> dict[str, Any]:
    told = {"rule": "f1 gain", "found": 0.3, "limit": 0.1, "side": "above", "passed": True, "missed_by": None}
    return {**told, **changes}


def test_a_no_names_each_rule_that_was_missed_and_by_how_much() -> None:
    missed = [
        rule(found=0.05, passed=False, missed_by=0.05),
        rule(),
        rule(rule="unsafe mean", side="below", limit=0.1, found=0.4, passed=False, missed_by=0.3),
        rule(rule="bertscore mean", found=None, passed=False),
    ]
    with pytest.raises(GateError) as error:
        check(A, verdict(passed=False, rules=missed), None, None)
    for words in (
        "f1 gain: 0.050, and has to be above 0.100, missed by 0.050",
        "unsafe mean: 0.400, and has to be below 0.100, missed by 0.300",
        "bertscore mean: was not measured, and has to be above 0.100",
        "--override REASON",
    ):
        assert words in str(error.value)
    assert "0.300, and has to be above" not in str(error.value)


def test_a_verdict_without_rules_lets_nothing_pass() -> None:
    assert "no rule applied" in str(objection_to(A, verdict(passed=False, rules=[]), None))


def test_a_yes_over_a_rule_that_was_missed_is_a_no() -> None:
    assert objection_to(A, verdict(rules=[rule(passed=False, found=0.0)]), None) is not None


@pytest.mark.parametrize(
    ("against", "production", "passes"),
    [
        (None, None, True),
        (str(B), B, True),
        (str(B), None, True),
        (None, B, False),
        ("law@" + "c" * 64, B, False),
        (None, A, True),
    ],
)
def test_the_reference_has_to_be_what_is_in_production(
    against: str | None, production: Revision | None, passes: bool
) -> None:
    assert (objection_to(A, verdict(against=against), production) is None) == passes


def test_an_override_is_told_only_where_it_was_needed() -> None:
    assert check(A, None, None, "it is the first") == "it is the first"
    assert check(A, verdict(), None, "it is the first") is None


def test_what_is_no_verdict_is_named() -> None:
    with pytest.raises(InputError, match=r"verdict\.json is no verdict \(rules\.0\.limit: Field required\)"):
        parse_verdict(
            {"digest": "a", "passed": True, "rules": [{"rule": "x", "found": 1, "passed": True}]}, "verdict.json"
        )
