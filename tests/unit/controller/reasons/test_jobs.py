"""Why a Job failed."""

from collections.abc import Sequence
from typing import Any

from serin.controller.reasons import Cause, failure_of
from serin.core.resources.finetune import Attempt

from ..manifests import condition, ended, finetune, job, last_words

LIMIT = "Job has reached the specified backoff limit"


def cause_of(
    reason: str,
    message: str = "",
    pods: Sequence[dict[str, Any]] = (),
    attempts: Sequence[Attempt] = (),
    children: Sequence[dict[str, Any]] = (),
) -> Cause:
    failed = job(finetune(), conditions=[condition("Failed", reason, message)])
    return failure_of(
        failed,
        children,
        pods,
        attempts,
        retries=3,
        deadline_s=3600,
        memory_limit="32Gi",
        estimate_bytes=None,
    )


def exited(code: int) -> str:
    return f"Container run for pod team/p failed with exit code {code} matching FailJob rule at index 2"


def test_a_configuration_that_cannot_work_says_what_the_trainer_said() -> None:
    pods = [
        ended(1, "a", finished=20, message=last_words(1, "storage did not answer")),
        ended(78, "b", message="bad rank"),
    ]
    cause = cause_of("PodFailurePolicy", exited(78), pods)
    assert (cause.reason, cause.message, cause.exit_code) == ("BadConfig", "bad rank", 78)


def test_the_pod_that_failed_it_is_told_from_others_by_its_exit_code() -> None:
    pods = [ended(3, "a", finished=90, message="no"), ended(78, "b", finished=95, message="other")]
    assert cause_of("PodFailurePolicy", exited(3), pods).reason == "GateSaidNo"


def test_when_the_pods_are_gone_the_jobs_message_still_tells_the_code() -> None:
    cause = cause_of("PodFailurePolicy", exited(78))
    assert (cause.reason, cause.exit_code) == ("BadConfig", 78)
    remembered = [Attempt(pod="a", exit_code=3, reason="GateSaidNo")]
    assert cause_of("PodFailurePolicy", "", attempts=remembered).exit_code == 3


def test_retries_that_are_used_up_show_the_last_failure_that_counted() -> None:
    disruption = condition("DisruptionTarget", "EvictionByEvictionAPI")
    pods = [
        ended(1, "a", finished=20, message="first"),
        ended(1, "b", finished=40, message="last"),
        ended(75, "c", finished=50, message="saved"),
        ended(137, "d", finished=60, conditions=[disruption]),
    ]
    cause = cause_of("BackoffLimitExceeded", LIMIT, pods)
    assert (cause.reason, cause.exit_code) == ("BackoffLimitExceeded", 1)
    assert "pod b: last" in cause.message
    assert "placement.retries = 3" in cause.message


def test_out_of_memory_each_time_is_out_of_memory() -> None:
    pods = [ended(137, name, finished=when, reason="OOMKilled") for name, when in (("a", 20), ("b", 40))]
    cause = cause_of("BackoffLimitExceeded", LIMIT, pods)
    assert (cause.reason, cause.exit_code) == ("OOMKilled", 137)
    assert "limit of 32Gi" in cause.message
    remembered = [Attempt(pod="a", exit_code=137, reason="OOMKilled"), Attempt(pod="b", exit_code=75, reason="Stopped")]
    cause = cause_of("BackoffLimitExceeded", LIMIT, attempts=remembered)
    assert (cause.reason, cause.exit_code) == ("OOMKilled", 137)


def test_too_long_names_the_limit() -> None:
    cause = cause_of("DeadlineExceeded", "Job was active longer than specified deadline", [ended(75)])
    assert cause.reason == "DeadlineExceeded"
    assert "placement.deadlineS = 3600 s" in cause.message
    assert cause.exit_code is None


def test_of_a_jobset_only_its_own_job_says_why() -> None:
    late = job(finetune(), conditions=[condition("Failed", "DeadlineExceeded", "too long")])
    assert (
        cause_of("FailJobSetFailurePolicyAction", "applying FailJobSet", children=[late]).reason == "DeadlineExceeded"
    )
    bad = job(finetune(), conditions=[condition("Failed", "PodFailurePolicy", exited(78))])
    cause = cause_of("FailJobSetFailurePolicyAction", "applying FailJobSet", [ended(78, message="bad")], children=[bad])
    assert (cause.reason, cause.message) == ("BadConfig", "bad")


def test_a_jobset_whose_job_is_gone_is_judged_by_its_pods() -> None:
    cause = cause_of("FailJobSetFailurePolicyAction", "applying FailJobSet", [ended(78, message="bad")])
    assert (cause.reason, cause.exit_code) == ("BadConfig", 78)
    cause = cause_of(
        "ReachedMaxRestarts", "jobset failed due to reaching max number of restarts", [ended(1, message="x")]
    )
    assert (cause.reason, cause.exit_code) == ("BackoffLimitExceeded", 1)
