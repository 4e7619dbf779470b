from datetime import UTC, datetime
from typing import Any

import pytest

from serin.job.wording import HEADERS, described, duration, row_of, table

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def finetune(status: dict[str, Any] | None = None, suspend: bool = False, **placement: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "law", "namespace": "team", "uid": "u", "creationTimestamp": "2026-03-01T09:30:00Z"},
        "spec": {"suspend": suspend, "run": {"stages": ["train", "merge"], "placement": {"image": "i:1", **placement}}},
        **({"status": status} if status else {}),
    }


RUNNING = {
    "phase": "Running",
    "stage": "train",
    "step": 120,
    "steps": 400,
    "loss": 1.23456,
    "tokensPerS": 12345.6,
    "secondsLeft": 754,
    "gpuSeconds": 5400.0,
    "stages": [
        {
            "name": "train",
            "state": "Running",
            "gpuSeconds": 5400.0,
            "attemptsBefore": 1,
            "attempts": [
                {
                    "pod": "law-train-1",
                    "node": "n1",
                    "started": "2026-03-01T10:00:00Z",
                    "finished": "2026-03-01T10:30:00Z",
                    "gpus": 2,
                    "exitCode": 137,
                    "reason": "OOMKilled",
                },
                {"pod": "law-train-2", "node": "n2", "started": "2026-03-01T10:31:00Z", "gpus": 2},
            ],
        },
        {"name": "merge"},
    ],
    "conditions": [
        {"type": "Running", "status": "True", "reason": "Running", "message": "train runs"},
        {"type": "Admitted", "status": "False", "reason": "QuotaExceeded", "message": "needs 2 more GPUs"},
    ],
}


def test_a_row_has_what_is_known() -> None:
    row = row_of(finetune(RUNNING, queue="gpus"), NOW)
    assert row.cells() == ("law", "Running", "train", "120/400", "1.235", "1h30m", "gpus", "2h30m")


def test_a_row_invents_nothing() -> None:
    assert row_of(finetune(), NOW).cells() == ("law", "Unseen", "-", "-", "-", "-", "-", "2h30m")


def test_a_loss_of_zero_is_a_loss() -> None:
    assert row_of(finetune({"phase": "Running", "loss": 0.0, "step": 0}), NOW).cells()[3:5] == ("0", "0.000")


def test_columns_stand_below_each_other() -> None:
    lines = table([HEADERS, row_of(finetune(RUNNING, queue="gpus"), NOW).cells()])
    assert [lines[0].index(word) for word in ("PHASE", "LOSS", "QUEUE")] == [
        lines[1].index(word) for word in ("Running", "1.235", "gpus")
    ]


def test_a_status_tells_progress_attempts_conditions_and_the_next_step() -> None:
    text = "\n".join(described(finetune(RUNNING), NOW))
    assert "law: running in train" in text
    assert "train: step 120/400, loss 1.235, 12,346 tokens/s, 12m34s left" in text
    assert "not admitted: QuotaExceeded: needs 2 more GPUs" in text
    assert "OOMKilled, exit code 137" in text
    assert "GPU time: 1h30m over all attempts" in text
    stage = next(line.split() for line in text.splitlines() if line.startswith("train "))
    assert stage == ["train", "Running", "3", "1h30m", "-"]
    attempt = next(line.split() for line in text.splitlines() if line.startswith("train 2 "))
    assert attempt[2:6] == ["law-train-1", "n1", "30m00s", "1h00m"]
    assert text.endswith("next: serin job follow law, or serin job stop law")


@pytest.mark.parametrize(
    ("status", "suspend", "words"),
    [
        (None, False, "no controller has looked at it"),
        ({"phase": "Suspended"}, True, "serin job resume law"),
        ({"phase": "Failed", "exitCode": 78, "stage": "train"}, False, "serin job logs law"),
        ({"phase": "Failed", "exitCode": 3, "missed": ["f1: 0.1"]}, False, "the gate missed: f1: 0.1"),
        ({"phase": "Succeeded", "revision": "law-qa@abc"}, False, "next: serin deploy law-qa@abc"),
    ],
)
def test_what_to_do_next_follows_from_how_it_stands(status: Any, suspend: bool, words: str) -> None:
    assert words in "\n".join(described(finetune(status, suspend), NOW))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0s"), (59.6, "1m00s"), (3599, "59m59s"), (3660, "1h01m"), (187_200, "2d04h")]
)
def test_a_time_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
