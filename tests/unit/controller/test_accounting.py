"""GPU-seconds."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from serin.controller.accounting import LISTED, RUNNING_STEP_S, account, next_step_s
from serin.core.resources.finetune import StageStatus

from .manifests import START, at, condition, ended, pod, running


def count(
    pods: Sequence[dict[str, Any]],
    known: StageStatus | None = None,
    seconds: float = 1000,
    gpus: int = 1,
    ends: Sequence[str] = (),
    gone_for: str = "Preempted",
) -> StageStatus:
    now = START + timedelta(seconds=seconds)
    known = known or StageStatus(name="train")
    return account(known, pods, gpus=gpus, memory_limit="32Gi", ends=ends, gone_for=gone_for, now=now)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_an_attempt_counts_from_its_containers_start_to_its_end() -> None:
    status = count([ended(0, started=10, finished=70)], gpus=4)
    assert status.gpu_seconds == 240
    (attempt,) = status.attempts
    assert (attempt.started, attempt.finished, attempt.exit_code, attempt.reason) == (at(10), at(70), 0, "Completed")
    assert attempt.node == "node-1"


def test_attempts_add_up_over_preemptions_and_failures() -> None:
    pods = [
        ended(75, "a", 0, 100, conditions=[condition("DisruptionTarget", "PreemptionByScheduler")]),
        ended(137, "b", 200, 250, reason="OOMKilled"),
        ended(0, "c", 300, 310),
    ]
    status = count(pods, gpus=2)
    assert status.gpu_seconds == 2 * (100 + 50 + 10)
    assert [attempt.reason for attempt in status.attempts] == ["Preempted", "OOMKilled", "Completed"]


def test_what_was_counted_stays_when_the_pod_is_gone_and_counts_once_when_it_is_there_again() -> None:
    first = count([ended(75, "a", 0, 100)])
    gone = count([], first)
    assert (gone.gpu_seconds, gone.attempts) == (100, first.attempts)
    assert count([ended(75, "a", 0, 100), ended(0, "b", 200, 210)], gone).gpu_seconds == 110


def test_a_running_attempt_counts_in_whole_steps_so_that_nothing_is_written_in_between() -> None:
    pods = [running(started=0)]
    assert count(pods, seconds=RUNNING_STEP_S - 1).gpu_seconds == 0
    assert count(pods, seconds=RUNNING_STEP_S).gpu_seconds == RUNNING_STEP_S
    middle = count(pods, seconds=RUNNING_STEP_S + 1)
    assert middle == count(pods, middle, seconds=2 * RUNNING_STEP_S - 1)
    assert next_step_s(middle.attempts, after(RUNNING_STEP_S + 1)) == RUNNING_STEP_S - 1
    done = count([ended(0, started=0, finished=RUNNING_STEP_S + 7)], middle)
    assert done.gpu_seconds == RUNNING_STEP_S + 7
    assert next_step_s(done.attempts, after(1000)) is None


def test_a_pod_that_vanished_unseen_ended_when_its_job_was_suspended() -> None:
    before = count([running("a", started=100)], seconds=200)
    status = count([], before, seconds=9000, ends=[at(50), at(400), at(700)])
    (attempt,) = status.attempts
    assert (attempt.finished, attempt.reason) == (at(400), "Preempted")
    assert status.gpu_seconds == 300


def test_a_pod_that_vanished_without_a_trace_ended_at_the_latest_now_and_does_not_grow() -> None:
    before = count([running("a", started=100)], seconds=200)
    status = count([], before, seconds=500, gone_for="Deleted")
    assert status.gpu_seconds == 400
    assert status.attempts[0].reason == "Deleted"
    assert count([], status, seconds=5000) == status


def test_a_pod_that_vanished_had_ended_when_the_next_one_started() -> None:
    before = count([running("a", started=100)], seconds=200)
    status = count([running("b", started=350)], before, seconds=600)
    assert [attempt.finished for attempt in status.attempts] == [at(350), None]


def test_a_pod_that_a_lagging_cache_hid_goes_on_counting() -> None:
    before = count([running("a", started=0)], seconds=10)
    missed = count([], before, seconds=20)
    seen = count([running("a", started=0)], missed, seconds=30)
    assert seen.attempts[0].finished is None


def test_a_pod_that_waits_is_no_attempt() -> None:
    assert count([pod(phase="Pending")]).attempts == []


def test_a_container_that_could_not_start_took_no_time() -> None:
    broken = ended(128, reason="StartError", finished=70)
    broken["status"]["containerStatuses"][0]["state"]["terminated"]["startedAt"] = "1970-01-01T00:00:00Z"
    status = count([broken])
    assert status.gpu_seconds == 0
    assert status.attempts[0].reason == "ContainerError"


def test_a_lost_nodes_pod_ended_when_it_was_given_up() -> None:
    lost = running(started=100, conditions=[condition("DisruptionTarget", "DeletionByPodGC", seconds=400)])
    lost["status"]["phase"] = "Failed"
    assert count([lost]).gpu_seconds == 300


def test_pods_that_train_together_are_one_attempt_with_the_gpus_of_all() -> None:
    pods = [ended(0, f"p-{index}", 0, 100, index=index) for index in range(4)]
    status = count(pods, gpus=32)
    assert [attempt.pod for attempt in status.attempts] == ["p-0"]
    assert status.gpu_seconds == 3200


@pytest.mark.parametrize("still_there", [True, False])
def test_older_attempts_leave_the_list_and_stay_in_the_sum(still_there: bool) -> None:
    known = StageStatus(name="train")
    pods: list[dict[str, Any]] = []
    for number in range(LISTED + 7):
        pods.append(ended(75, f"p-{number:03}", number * 10, number * 10 + 4))
        known = count(pods if still_there else pods[-1:], known)
    assert len(known.attempts) == LISTED
    assert known.attempts_before == 7
    assert known.attempts[-1].pod == f"p-{LISTED + 6:03}"
    assert known.gpu_seconds == 4 * (LISTED + 7)
    assert count(pods, known) == known
