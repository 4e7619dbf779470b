"""From what changed in the cluster to the FineTune that it concerns."""

from collections.abc import Sequence
from typing import Any

from serin.clients.kubernetes.kinds import FINE_TUNES, JOB_SETS, JOBS, PODS, WORKLOADS
from serin.controller.loop.caches import Caches, owner_uids


def child(name: str, of: str = "", owners: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    labels = {"serin.dev/finetune": of} if of else {}
    references = [{"kind": kind, "uid": uid} for kind, uid in owners]
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": labels, "ownerReferences": references}}


def filled() -> Caches:
    caches = Caches()
    caches.by_kind[FINE_TUNES].put(child("law"))
    caches.by_kind[JOBS].put(child("law-train", "law"))
    caches.by_kind[JOB_SETS].put(child("tax-train", "tax"))
    caches.by_kind[PODS].put(child("law-train-x", "law"))
    caches.by_kind[WORKLOADS].put(child("w-law", owners=[("Job", "uid-law-train")]))
    caches.by_kind[WORKLOADS].put(child("w-tax", owners=[("JobSet", "uid-tax-train")]))
    caches.by_kind[WORKLOADS].put(child("w-other", owners=[("Job", "uid-of-somebody-else")]))
    return caches


def concerned(caches: Caches, kind: Any, name: str) -> list[str]:
    return list(caches.finetunes_of(kind, [name, *caches.by_kind[kind].keys_of(name)]))


def test_a_finetune_concerns_itself_and_its_children_concern_it() -> None:
    caches = filled()
    assert concerned(caches, FINE_TUNES, "law") == ["law"]
    assert concerned(caches, JOBS, "law-train") == ["law"]
    assert concerned(caches, JOB_SETS, "tax-train") == ["tax"]
    assert concerned(caches, PODS, "law-train-x") == ["law"]


def test_a_workload_concerns_the_finetune_of_the_job_that_owns_it() -> None:
    caches = filled()
    assert concerned(caches, WORKLOADS, "w-law") == ["law"]
    assert concerned(caches, WORKLOADS, "w-tax") == ["tax"]
    assert concerned(caches, WORKLOADS, "w-other") == []
    assert [each["metadata"]["name"] for each in caches.workloads_of("uid-law-train")] == ["w-law"]


def test_children_are_found_by_the_name_of_their_finetune() -> None:
    caches = filled()
    assert [each["metadata"]["name"] for each in caches.children(PODS, "law")] == ["law-train-x"]
    assert caches.children(PODS, "tax") == []
    assert caches.finetune("law") is not None
    assert caches.finetune("tax") is None


def test_owners_are_told_apart_by_kind() -> None:
    found = child("w", owners=[("Job", "a"), ("FineTune", "b"), ("JobSet", "c")])
    assert owner_uids(found, "Job", "JobSet") == ["a", "c"]
    assert owner_uids({"metadata": {"name": "w"}}, "Job") == []
