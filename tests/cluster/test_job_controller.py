"""What becomes of a Job's pods and of the Job, as batch/v1 has it."""

from typing import Any

import pytest

from .http import MERGE, ask, job
from .standin import Disrupt, Evict, Exit, Outcome, StandIn, Succeed, Work

POLICY = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore", "onExitCodes": {"containerName": "run", "operator": "In", "values": [75]}},
        {"action": "FailJob", "onExitCodes": {"containerName": "run", "operator": "In", "values": [2, 3, 78]}},
    ]
}
COMPLETE = {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
JOBS = "/apis/batch/v1/namespaces/serin/jobs"


def conditions(found: dict[str, Any]) -> dict[str, str]:
    """Type to reason of what is True."""
    return {c["type"]: c["reason"] for c in found["status"].get("conditions", ()) if c["status"] == "True"}


def told(standin: StandIn, *outcomes: Outcome, **spec: Any) -> dict[str, Any]:
    """A Job whose pods go so, when all is over."""
    standin.pods.script(*outcomes)
    standin.create(job("a", **{"backoffLimit": 2, "podFailurePolicy": POLICY, **spec}))
    standin.settle()
    found = standin.get("jobs", "a")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("outcomes", "ends", "failed", "pods"),
    [
        ([Succeed()], COMPLETE, 0, 1),
        ([Exit(code=1), Exit(code=1), Succeed()], COMPLETE, 2, 3),
        ([Exit(code=1)], {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}, 3, 3),
        ([Exit(code=78)], {"FailureTarget": "PodFailurePolicy", "Failed": "PodFailurePolicy"}, 1, 1),
        ([Exit(code=75)] * 5 + [Succeed()], COMPLETE, 0, 6),
        ([Disrupt(), Evict(), Disrupt(), Succeed()], COMPLETE, 0, 4),
    ],
    ids=["succeeds", "retries", "gives up", "final code", "checkpoints", "disruptions"],
)  # fmt: skip
def test_how_pods_count(still: StandIn, outcomes: list[Outcome], ends: dict[str, str], failed: int, pods: int) -> None:
    found = told(still, *outcomes)
    assert conditions(found) == ends
    assert found["status"].get("failed", 0) == failed
    started = {event.object["metadata"]["uid"] for event in still.history("pods")}
    assert len(started) == pods


def test_the_first_rule_that_matches_decides(still: StandIn) -> None:
    still.pods.script(Work(then=Exit(code=78)))
    still.create(job("a", podFailurePolicy=POLICY))
    for _ in range(5):
        still.step()
    (pod,) = still.pods.living()
    pod.disrupt("EvictionByEvictionAPI", "drained")
    still.pods.release()
    for _ in range(3):
        still.step()
    assert "FailureTarget" not in conditions(still.get("jobs", "a") or {})
    assert len(still.list("pods")) == 2


def test_the_words_tell_which_rule_it_was(still: StandIn) -> None:
    found = told(still, Exit(code=78))
    (message,) = {c["message"] for c in found["status"]["conditions"] if c["type"] == "Failed"}
    pod = still.list("pods")[0]["metadata"]["name"]
    assert message == f"Container run for pod serin/{pod} failed with exit code 78 matching FailJob rule at index 2"


def test_a_replacement_waits_until_the_old_pod_has_ended(still: StandIn) -> None:
    still.pods.script(Work(deaf=True), Work())
    still.create(job("a", podFailurePolicy=POLICY))
    for _ in range(5):
        still.step()
    still.pods.living()[0].delete()
    for _ in range(5):
        still.step()
    assert len(still.list("pods")) == 1
    still.clock.advance(31)
    for _ in range(3):
        still.step()
    assert len(still.pods.living()) == 1
    assert (still.get("jobs", "a") or {})["status"]["failed"] == 1


def test_suspension_stops_pods_without_counting_them_and_resets_the_clock(still: StandIn) -> None:
    still.pods.script(Work())
    still.create(job("a", backoffLimit=0, podFailurePolicy=POLICY, activeDeadlineSeconds=100))
    for _ in range(5):
        still.step()
    started = (still.get("jobs", "a") or {})["status"]["startTime"]
    ask(still, "PATCH", f"{JOBS}/a", {"spec": {"suspend": True}}, MERGE)
    still.settle()
    found = still.get("jobs", "a") or {}
    assert conditions(found) == {"Suspended": "JobSuspended"}
    assert not still.pods.living()
    still.clock.advance(99)
    ask(still, "PATCH", f"{JOBS}/a", {"spec": {"suspend": False}}, MERGE)
    for _ in range(5):
        still.step()
    found = still.get("jobs", "a") or {}
    assert found["status"]["startTime"] > started
    assert found["status"].get("failed", 0) == 0
    still.clock.advance(99)
    still.step()
    assert len(still.pods.living()) == 1
    still.clock.advance(2)
    still.settle()
    assert conditions(still.get("jobs", "a") or {}) == {
        "FailureTarget": "DeadlineExceeded",
        "Failed": "DeadlineExceeded",
    }


def test_failure_is_written_only_when_no_pod_is_left(still: StandIn) -> None:
    still.pods.script(Work(deaf=True))
    still.create(job("a", podFailurePolicy=POLICY, activeDeadlineSeconds=100))
    for _ in range(5):
        still.step()
    still.clock.advance(101)
    for _ in range(4):
        still.step()
    assert conditions(still.get("jobs", "a") or {}) == {"FailureTarget": "DeadlineExceeded"}
    still.clock.advance(31)
    still.settle()
    assert "Failed" in conditions(still.get("jobs", "a") or {})


def test_a_finished_job_is_removed_with_its_pods_when_its_time_is_over(still: StandIn) -> None:
    told(still, Succeed(), ttlSecondsAfterFinished=60)
    still.clock.advance(59)
    still.settle()
    assert still.get("jobs", "a")
    still.clock.advance(2)
    still.settle()
    assert still.get("jobs", "a") is None
    assert not still.list("pods")


def test_each_pod_of_an_indexed_job_has_its_own_index(still: StandIn) -> None:
    still.pods.script(Work())
    still.create(job("a", completionMode="Indexed", completions=3, parallelism=3, backoffLimit=0))
    for _ in range(5):
        still.step()
    pods = still.list("pods")
    indexes = [pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for pod in pods]
    given = [
        {e["name"]: e["value"] for e in pod["spec"]["containers"][0]["env"]}["JOB_COMPLETION_INDEX"] for pod in pods
    ]
    assert sorted(indexes) == sorted(given) == ["0", "1", "2"]
    still.pods.release()
    still.settle()
    assert "Complete" in conditions(still.get("jobs", "a") or {})


def test_kueue_owns_the_suspension_of_what_has_a_queue(still: StandIn) -> None:
    still.queue("gpus")
    still.pods.script(Work())
    body = job("a")
    body["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "gpus"}
    assert still.create(body)["spec"]["suspend"] is True
    for _ in range(8):
        still.step()
    assert len(still.pods.living()) == 1
    still.kueue.hold()
    still.kueue.preempt("a")
    still.settle()
    (workload,) = still.list("workloads")
    held = {c["type"]: c["reason"] for c in workload["status"]["conditions"] if c["status"] == "True"}
    assert held == {"Evicted": "Preempted", "Preempted": "InClusterQueue"}
    assert not still.pods.living()
    ask(still, "PATCH", f"{JOBS}/a", {"spec": {"suspend": False}}, MERGE)
    still.settle()
    assert (still.get("jobs", "a") or {})["spec"]["suspend"] is True
    still.kueue.free()
    for _ in range(8):
        still.step()
    assert len(still.pods.living()) == 1
    workloads = "/apis/kueue.x-k8s.io/v1beta1/namespaces/serin/workloads"
    ask(still, "PATCH", f"{workloads}/{workload['metadata']['name']}", {"spec": {"active": False}}, MERGE)
    still.settle()
    assert not still.pods.living()
