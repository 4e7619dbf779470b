"""Why a pod waits, and why it ended."""

from typing import Any

import pytest

from serin.controller.reasons import ended_by, waits_for

from ..manifests import IMAGE, condition, ended, last_words, pod, running

GIB = 2**30


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return pod(phase="Pending", state={"waiting": {"reason": reason, "message": message}})


def test_a_pod_that_no_node_takes() -> None:
    said = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
    scheduled = condition("PodScheduled", "Unschedulable", said, status="False")
    cause = waits_for(pod(phase="Pending", conditions=[scheduled]))
    assert cause is not None
    assert cause.reason == "Unschedulable"
    assert "of 4 nodes, 4 have too little nvidia.com/gpu free (the pod asks for 1)" in cause.message


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_cannot_be_pulled_is_named(reason: str) -> None:
    cause = waits_for(waiting(reason, "manifest unknown"))
    assert cause is not None
    assert cause.reason == "ImagePull"
    assert IMAGE in cause.message
    assert "manifest unknown" in cause.message


def test_a_missing_secret_is_named() -> None:
    cause = waits_for(waiting("CreateContainerConfigError", 'secret "s3-credentials" not found'))
    assert cause is not None
    assert cause.reason == "ConfigMissing"
    assert 'secret "s3-credentials" not found' in cause.message


@pytest.mark.parametrize("found", [waiting("ContainerCreating"), running(), pod(phase="Pending"), ended(1)])
def test_what_merely_takes_its_time_has_no_cause(found: dict[str, Any]) -> None:
    assert waits_for(found) is None


def test_a_pod_that_runs_has_not_ended() -> None:
    assert ended_by(running(), "32Gi") is None
    assert ended_by(pod(phase="Pending"), "32Gi") is None


def test_success_is_completed() -> None:
    cause = ended_by(ended(0), "32Gi")
    assert cause is not None
    assert (cause.reason, cause.exit_code) == ("Completed", 0)


def test_out_of_memory_tells_the_limit_and_beside_it_what_was_planned() -> None:
    cause = ended_by(ended(137, reason="OOMKilled"), "", estimate_bytes=round(41.25 * GIB))
    assert cause is not None
    assert (cause.reason, cause.exit_code) == ("OOMKilled", 137)
    assert "limit of 32Gi; the plan's estimate was 41.2 GiB" in cause.message
    newer = last_words(137, "killed", memory_estimate_bytes=50 * GIB)
    cause = ended_by(ended(137, reason="OOMKilled", message=newer), "", estimate_bytes=GIB)
    assert cause is not None
    assert "50.0 GiB" in cause.message
    cause = ended_by(ended(137, reason="OOMKilled"), "")
    assert cause is not None
    assert "estimate" not in cause.message


def test_the_trainers_own_words_come_from_the_termination_log() -> None:
    said = "train.lora.r = 0: must be at least 1; edit params.yaml"
    cause = ended_by(ended(78, message=last_words(78, said)), "32Gi")
    assert cause is not None
    assert (cause.reason, cause.message, cause.exit_code) == ("BadConfig", said, 78)


def test_a_log_that_stands_in_for_them_is_shown_by_its_end() -> None:
    cause = ended_by(ended(1, message="x" * 5000 + "\nModuleNotFoundError: No module named 'torch'"), "32Gi")
    assert cause is not None
    assert cause.reason == "Error"
    assert cause.message.endswith("No module named 'torch'")
    assert len(cause.message) <= 2000


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1, "Error"),
        (2, "BadUsage"),
        (3, "GateSaidNo"),
        (75, "Stopped"),
        (78, "BadConfig"),
        (137, "Killed"),
        (143, "Killed"),
    ],
)
def test_exit_codes_have_names(code: int, reason: str) -> None:
    cause = ended_by(ended(code), "32Gi")
    assert cause is not None
    assert (cause.reason, cause.exit_code) == (reason, code)
    assert cause.message


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("PreemptionByScheduler", "Preempted"),
        ("EvictionByEvictionAPI", "Evicted"),
        ("TerminationByKubelet", "Evicted"),
        ("DeletionByTaintManager", "NodeLost"),
        ("DeletionByPodGC", "NodeLost"),
        ("SomethingNew", "Evicted"),
    ],
)
def test_a_disruption_is_the_clusters_doing_whatever_the_exit_code(why: str, reason: str) -> None:
    cause = ended_by(ended(75, conditions=[condition("DisruptionTarget", why, "the scheduler says")]), "32Gi")
    assert cause is not None
    assert (cause.reason, cause.exit_code) == (reason, 75)
    assert "the scheduler says" in cause.message


def test_an_eviction_carries_the_nodes_message() -> None:
    said = 'Usage of EmptyDir volume "work" exceeds the limit "50Gi".'
    cause = ended_by(pod(phase="Failed", reason="Evicted", message=said), "32Gi")
    assert cause is not None
    assert cause.reason == "Evicted"
    assert said in cause.message


def test_a_lost_node_leaves_a_container_that_seems_to_run() -> None:
    lost = running(conditions=[condition("DisruptionTarget", "DeletionByPodGC", "PodGC: node no longer exists")])
    lost["status"]["phase"] = "Failed"
    cause = ended_by(lost, "32Gi")
    assert cause is not None
    assert (cause.reason, cause.exit_code) == ("NodeLost", None)
