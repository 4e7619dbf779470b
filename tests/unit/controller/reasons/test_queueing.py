"""Kueue's words."""

from serin.controller.reasons.queueing import given_up, is_admitted, preempted, queued

from ..manifests import condition, workload

ADMITTED = condition("Admitted", "Admitted")


def test_what_it_waits_for_is_kueues_own_word() -> None:
    said = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor h200, 2 more needed"
    cause = queued(workload([condition("QuotaReserved", "Pending", said, status="False")]), "gpu")
    assert cause.reason == "Queued"
    assert said in cause.message
    assert "queue gpu" in cause.message


def test_a_workload_that_is_not_there_yet_waits_too() -> None:
    assert queued(None, "gpu").reason == "Queued"
    assert not is_admitted(None)
    assert is_admitted(workload([ADMITTED]))


def test_preempted_until_it_is_admitted_again() -> None:
    said = "Preempted to accommodate a workload (UID: 1) due to prioritization in the ClusterQueue"
    taken = [condition("Evicted", "Preempted", said), condition("Preempted", "InClusterQueue", said)]
    cause = preempted(workload(taken))
    assert cause is not None
    assert cause.reason == "Preempted"
    assert said in cause.message
    assert queued(workload(taken), "gpu").reason == "Preempted"
    assert preempted(workload([*taken, ADMITTED])) is None
    assert preempted(workload([condition("Evicted", "PodsReadyTimeout")])) is None
    assert preempted(None) is None


def test_one_that_a_person_stopped_says_how_to_start_it() -> None:
    cause = queued(workload(active=False), "gpu")
    assert cause.reason == "Deactivated"
    assert "spec.active" in cause.message
    assert given_up(workload(active=False), 60) is None


def test_one_that_kueue_stopped_for_good_is_over() -> None:
    said = "The workload is deactivated due to exceeding the maximum execution time"
    late = workload([condition("Evicted", "DeactivatedDueToMaximumExecutionTimeExceeded", said)], active=False)
    cause = given_up(late, 3600)
    assert cause is not None
    assert cause.reason == "DeadlineExceeded"
    assert "3600 s" in cause.message
    often = workload([condition("DeactivationTarget", "RequeuingLimitExceeded")], active=False)
    cause = given_up(often, 3600)
    assert cause is not None
    assert cause.reason == "RequeuingLimitExceeded"
    refused = workload(
        [condition("Evicted", "DeactivatedDueToAdmissionCheck", "no capacity in any zone")], active=False
    )
    cause = given_up(refused, 3600)
    assert cause is not None
    assert cause.reason == "AdmissionCheck"
    assert "no capacity in any zone" in cause.message
    assert given_up(workload([condition("Evicted", "DeactivatedDueToMaximumExecutionTimeExceeded")]), 3600) is None
    assert given_up(workload([condition("Evicted", "Deactivated")], active=False), 3600) is None
