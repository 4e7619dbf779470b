from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serin.core.errors import FinalError
from serin.job.view import View, ending_line, exit_code_of, look

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def finetune(uid: str = "u1", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "law", "namespace": "team", "uid": uid}, "spec": {}, "status": status}


def watch(*looks: tuple[float, dict[str, Any]]) -> tuple[View, list[list[str]]]:
    """What is told at each look, made so many seconds after the start."""
    view, told = View(), []
    for seconds, found in looks:
        view, lines = look(view, found, START + timedelta(seconds=seconds))
        told.append(lines)
    return view, told


def running(step: int, **more: Any) -> dict[str, Any]:
    stages = [{"name": "train", "state": "Running", "attempts": [{"pod": "p1"}]}]
    return finetune(phase="Running", stage="train", stages=stages, step=step, steps=100, loss=2.0, **more)


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def test_what_does_not_change_is_told_once() -> None:
    _, told = watch((0, running(1)), (20, running(1)))
    assert told[0] == ["train: running (attempt 1, p1)", "train: step 1/100, loss 2.000"]
    assert told[1] == []


def test_progress_is_told_at_most_every_ten_seconds() -> None:
    _, told = watch(*((second, running(second)) for second in range(25)))
    assert [second for second, lines in enumerate(told) if any("step" in line for line in lines)] == [0, 10, 20]


def test_a_condition_is_told_when_its_reason_or_message_changes() -> None:
    def waits(message: str) -> dict[str, Any]:
        return finetune(phase="Pending", conditions=[condition("Running", "False", "Unschedulable", message)])

    _, told = watch((0, waits("1 GPU short")), (2, waits("1 GPU short")), (4, waits("2 GPUs short")))
    assert told[0] == ["  not running: Unschedulable: 1 GPU short"]
    assert told[1] == []
    assert told[2] == ["  not running: Unschedulable: 2 GPUs short"]


def test_a_run_that_no_controller_looks_at_is_said_to_be_so_once() -> None:
    bare = {"metadata": {"name": "law", "namespace": "team", "uid": "u1"}, "spec": {}}
    _, told = watch((0, bare), (29, bare), (31, bare), (90, bare))
    assert [bool(lines) for lines in told] == [False, False, True, False]
    assert "is one running in team?" in told[2][0]


def test_another_object_of_the_same_name_is_not_followed() -> None:
    with pytest.raises(FinalError, match="deleted and made anew"):
        watch((0, finetune("u1", phase="Running")), (2, finetune("u2", phase="Running")))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"phase": "Succeeded", "exitCode": 0}, 0),
        ({"phase": "Failed", "exitCode": 78}, 78),
        ({"phase": "Failed", "exitCode": 3}, 3),
        ({"phase": "Failed"}, 1),
        ({"phase": "Failed", "exitCode": 0}, 1),
    ],
)
def test_the_end_has_the_runs_own_exit_code(status: dict[str, Any], code: int) -> None:
    view, _ = watch((0, finetune(phase="Running")), (2, finetune(**status)))
    assert view.exit_code == code == exit_code_of(finetune(**status))


@pytest.mark.parametrize("phase", ["Pending", "Queued", "Running", "Suspended"])
def test_what_goes_on_has_no_exit_code(phase: str) -> None:
    assert watch((0, finetune(phase=phase)))[0].exit_code is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Succeeded", "revision": "law-qa@abc"}, "law succeeded: law-qa@abc"),
        ({"phase": "Succeeded", "stages": [{"name": "train", "out": "ab.dir"}]}, "law succeeded: train ab.dir"),
        (
            {"phase": "Failed", "conditions": [condition("Failed", "True", "BadConfig", "train.lora.r = 0")]},
            "law failed: BadConfig: train.lora.r = 0; 'serin job logs law'",
        ),
    ],
)
def test_the_last_line_says_what_came_of_it(status: dict[str, Any], words: str) -> None:
    assert ending_line(finetune(**status)).startswith(words)


def test_a_failure_is_told_at_the_end_and_not_before() -> None:
    conditions: Sequence[dict[str, str]] = [
        condition("Running", "False", "Failed", "it is over"),
        condition("Succeeded", "False", "BadConfig", "r = 0"),
        condition("Failed", "True", "BadConfig", "r = 0"),
    ]
    _, told = watch((0, finetune(phase="Failed", conditions=conditions)))
    assert told == [[]]
