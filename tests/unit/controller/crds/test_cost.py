"""CEL's rules are cheap enough for an API server to take them."""

from typing import Any

import pytest

from .cel_cost import PER_CRD, PER_RULE, REQUEST_BYTES, rules
from .structure import nodes
from .verdicts import SPECS, schema


@pytest.mark.parametrize("kind", SPECS)
def test_rules_stay_within_the_budget_of_a_rule_and_of_a_definition(kind: str) -> None:
    found = list(rules(schema(kind)))
    written = sum(len(node.get("x-kubernetes-validations", ())) for _, node in nodes(schema(kind)))
    assert len(found) == written > 0
    assert {rule.text: rule.estimate for rule in found if rule.estimate > PER_RULE} == {}
    assert sum(rule.estimate for rule in found) <= PER_CRD


def _with(field: dict[str, Any], rule: str) -> dict[str, Any]:
    node = field | {"x-kubernetes-validations": [{"rule": rule}]}
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": {"field": node}}}}


NUMBERS = {"type": "array", "items": {"type": "number"}}
TEXTS = {"type": "array", "items": {"type": "string", "maxLength": 100}}


@pytest.mark.parametrize(
    ("field", "rule", "estimate"),
    [
        ({"type": "string", "maxLength": 100}, "self == oldSelf", 1 + 1 + 1 + 40),
        ({"type": "string", "maxLength": 100}, "self.matches('^abc$')", 1 + 1 + 41 * 2),
        ({"type": "string", "maxLength": 100}, "self.size() > 3", 1 + 1 + 1 + 1),
        (TEXTS | {"maxItems": 10}, "self.all(a, a == 'x')", 1 + 10 * (1 + 1 + 1 + 5)),
        (TEXTS | {"maxItems": 10}, "'x' in self", 1 + 10 * (1 + 1)),
        (NUMBERS | {"maxItems": 10}, "self.isSorted()", 1 + 1 + 10),
    ],
)
def test_the_estimate_follows_its_method(field: dict[str, Any], rule: str, estimate: int) -> None:
    (found,) = rules(_with(field, rule))
    assert found.estimate == estimate


def test_without_bounds_a_rule_over_pairs_would_be_refused() -> None:
    pairs = "self.all(a, self.exists_one(b, a == b))"
    (bounded,) = rules(_with(NUMBERS | {"maxItems": 64}, pairs))
    (unbounded,) = rules(_with(NUMBERS, pairs))
    assert bounded.estimate <= PER_RULE < unbounded.estimate


def test_a_rule_on_items_counts_once_for_each_of_them() -> None:
    item = {"type": "string", "maxLength": 1, "x-kubernetes-validations": [{"rule": "self != 'a'"}]}
    once, many = (
        next(rules({"type": "object", "properties": {"field": {"type": "array", "items": item} | bound}}))
        for bound in ({"maxItems": 1}, {})
    )
    assert many.times == REQUEST_BYTES / 2
    assert many.estimate == once.estimate * many.times
