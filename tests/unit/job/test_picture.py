from datetime import UTC, datetime
from typing import Any

import pytest

from serin.job.picture import picture_of


def finetune(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "law", "namespace": "team", "uid": "u"}, "spec": {}, "status": status}


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


TRAINING = {
    "phase": "Running",
    "stage": "train",
    "step": 40,
    "steps": 400,
    "loss": 1.2345,
    "tokensPerS": 12345.6,
    "secondsLeft": 900.0,
    "stages": [
        {
            "name": "train",
            "state": "Running",
            "attemptsBefore": 2,
            "attempts": [{"pod": "p3", "node": "n1", "started": "2026-03-01T12:00:00Z"}],
        }
    ],
}


def test_training_is_at_a_step_with_loss_speed_and_time_left() -> None:
    found = picture_of(finetune(**TRAINING))
    assert (found.stage, found.done, found.total) == ("train", 40, 400)
    assert found.figures == "loss 1.234, 12,346 tokens/s, 15m00s left"
    assert found.standing == "running, attempt 3, p3 on n1"
    assert found.since == datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_the_figures_of_training_are_not_those_of_the_stage_after_it() -> None:
    merging = {"name": "merge", "state": "Running", "attempts": [{"pod": "m1"}]}
    found = picture_of(finetune(**{**TRAINING, "stage": "merge", "stages": [*TRAINING["stages"], merging]}))
    assert (found.stage, found.done, found.total, found.figures) == ("merge", None, None, "")
    assert found.standing == "running, attempt 1, m1"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, "unseen"),
        (
            {
                "phase": "Queued",
                "conditions": [
                    condition("Accepted", "True", "InputsFound"),
                    condition("Admitted", "False", "QuotaExceeded", "2 GPUs short"),
                    condition("Running", "False", "Queued", "it waits for its quota"),
                ],
            },
            "queued, not admitted: QuotaExceeded: 2 GPUs short",
        ),
        (
            {"phase": "Pending", "stage": "train", "conditions": [condition("Running", "False", "ImagePull", "x")]},
            "pending, not running: ImagePull: x",
        ),
    ],
)
def test_what_does_not_run_says_what_it_waits_for(status: dict[str, Any], words: str) -> None:
    found = picture_of(finetune(**status))
    assert found.standing == words
    assert found.since is None
