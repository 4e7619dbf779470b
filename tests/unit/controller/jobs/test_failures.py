"""What becomes of a pod's failure, by the first rule that matches, as Kubernetes and JobSet apply them."""

import re
from typing import Any

import pytest

from serin.controller.jobs.failures import jobset_failure_policy, pod_failure_policy


def jobs_answer(policy: dict[str, Any], code: int, disrupted: bool) -> tuple[str, str]:
    """The action and, where the Job ends, the message, as pkg/controller/job/pod_failure_policy.go of Kubernetes has them."""
    for index, rule in enumerate(policy["rules"]):
        codes = rule.get("onExitCodes")
        if codes and codes["operator"] == "In" and codes["containerName"] == "run" and code in codes["values"]:
            said = f"Container run for pod team/p failed with exit code {code} matching {rule['action']} rule at index {index}"
            return rule["action"], said
        patterns = rule.get("onPodConditions")
        if patterns and disrupted and {"type": "DisruptionTarget", "status": "True"} in patterns:
            return rule[
                "action"
            ], f"Pod team/p has condition DisruptionTarget matching {rule['action']} rule at index {index}"
    return "Count", ""


@pytest.mark.parametrize(
    ("code", "disrupted", "action"),
    [
        (1, False, "Count"),
        (137, False, "Count"),
        (75, False, "Ignore"),
        (1, True, "Ignore"),
        (137, True, "Ignore"),
        (78, True, "Ignore"),
        (2, False, "FailJob"),
        (3, False, "FailJob"),
        (78, False, "FailJob"),
    ],
)
def test_a_job_counts_failures_forgives_disruptions_and_ends_at_what_cannot_work(
    code: int, disrupted: bool, action: str
) -> None:
    assert jobs_answer(pod_failure_policy("Ignore"), code, disrupted)[0] == action


@pytest.mark.parametrize(
    ("code", "disrupted", "action"),
    [
        (1, False, "RestartJobSet"),
        (7, False, "RestartJobSet"),
        (137, False, "RestartJobSet"),
        (75, False, "RestartJobSetAndIgnoreMaxRestarts"),
        (137, True, "RestartJobSetAndIgnoreMaxRestarts"),
        (78, True, "RestartJobSetAndIgnoreMaxRestarts"),
        (2, False, "FailJobSet"),
        (3, False, "FailJobSet"),
        (78, False, "FailJobSet"),
    ],
)
def test_a_jobset_tells_the_same_endings_apart_by_what_its_job_says(code: int, disrupted: bool, action: str) -> None:
    found, said = jobs_answer(pod_failure_policy("FailJob"), code, disrupted)
    reason = "PodFailurePolicy" if found == "FailJob" else "BackoffLimitExceeded"
    assert jobsets_answer(reason, said or "Job has reached the specified backoff limit") == action


def test_a_jobset_that_took_too_long_is_not_started_again() -> None:
    assert jobsets_answer("DeadlineExceeded", "Job was active longer than specified deadline") == "FailJobSet"


def jobsets_answer(reason: str, said: str) -> str:
    """As pkg/controllers/failure_policy.go of JobSet 0.12 has it."""
    for rule in jobset_failure_policy(retries=3)["rules"]:
        patterns = rule.get("onJobFailureMessagePatterns", [])
        fits = not patterns or any(re.search(pattern, said) for pattern in patterns)
        if reason in rule["onJobFailureReasons"] and fits:
            return str(rule["action"])
    return "RestartJobSet"


def test_rule_names_are_such_as_jobset_takes() -> None:
    names = [rule["name"] for rule in jobset_failure_policy(0)["rules"]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", name) for name in names)
