"""A ModelRollout as its models read it."""

from typing import Any

import pytest
from pydantic import ValidationError

from serin.core.params import Params
from serin.core.resources.rollout import ModelRolloutSpec, ModelRolloutStatus

STORAGE = {"url": "s3://bucket/prefix"}
STABLE, CANARY = (f"law-qa@{letter * 64}" for letter in "ab")


def _spec(**fields: Any) -> dict[str, Any]:
    return _run() | fields


def _run(**fields: Any) -> dict[str, Any]:
    return {"run": {"stable": STABLE, "canary": CANARY, "storage": STORAGE} | fields}


def test_a_rollout_without_params_is_that_of_params_yaml() -> None:
    spec = ModelRolloutSpec.model_validate(_spec())
    assert spec.run.params == Params().rollout
    assert (spec.paused, spec.action) == (False, None)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (_run(canary=STABLE), "another revision than stable"),
        (_run(stable="law-qa@0123abcd"), "run.stable"),
        (_spec(action="promote"), "action needs a reason"),
        (_spec(action="restart", reason="so"), "action"),
        (_spec(action="abort", reason=""), "reason"),
        (
            _run(params={"steps": [0.5, 0.5, 1.0]}),
            "steps must rise",
        ),
        (
            {
                "run": {
                    "stable": STABLE,
                    "canary": CANARY,
                    "storage": STORAGE,
                    "params": {"metrics": {"tone": {"delta": 0.1}}},
                }
            },
            "metrics.tone",
        ),
        (
            {
                "run": {
                    "stable": STABLE,
                    "canary": CANARY,
                    "storage": STORAGE,
                    "params": {"steps": [n / 65 for n in range(1, 66)]},
                }
            },
            "65 entries",
        ),
    ],
)
def test_a_rollout_that_cannot_be_is_refused(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ModelRolloutSpec.model_validate(spec)


def test_a_person_decides_with_a_reason() -> None:
    spec = ModelRolloutSpec.model_validate(_spec(action="abort", reason="wrong tone"))
    assert (spec.action, spec.reason) == ("abort", "wrong tone")


def test_a_status_without_evidence_says_nothing_of_it() -> None:
    told = ModelRolloutStatus(phase="Pending").model_dump(by_alias=True, exclude_none=True)
    assert told == {"observedGeneration": 0, "phase": "Pending", "metrics": [], "unproven": [], "conditions": []}
