"""Kueue, as far as one Job or JobSet at a time notices it: a Workload for each, and ``spec.suspend`` in Kueue's hands.

Source: kueue.sigs.k8s.io, concepts/workload and ``pkg/controller/jobframework/reconciler.go``. A queue admits what its quota has
room for, unless a test holds it.
"""

import copy
import hashlib
from typing import Any

from ..clock import Clock, moment, stamp
from .conditions import found, holds, with_condition
from .objects import Object
from .quota import Quota
from .registry import Registry
from .resources import JOB_SETS, JOBS, LOCAL_QUEUES, WORKLOADS, Resource

QUEUE = "kueue.x-k8s.io/queue-name"
_MAX_EXECUTION = "kueue.x-k8s.io/max-exec-time-seconds"
_PREEMPTED = "Preempted to accommodate a workload (UID: 7, JobUID: 8) due to prioritization in the ClusterQueue"
_JOB_UID = "kueue.x-k8s.io/job-uid"


class Kueue:
    """``hold`` and ``preempt`` are what tests do; ``free`` lets the queue admit again."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self.holding = False
        self._registry = registry
        self._clock = clock
        self._quota = Quota(registry)
        self._evicting: dict[str, tuple[str, str]] = {}
        registry.hooks.append(self._suspended_at_first)

    # ---- what tests do ---------------------------------------------------------------------------------------------------
    def hold(self) -> None:
        """Admit nothing more: the quota is used up."""
        self.holding = True

    def free(self) -> None:
        """Admit again."""
        self.holding = False

    def preempt(self, job: str, message: str = _PREEMPTED) -> None:
        """Take the quota back from a Job or JobSet; call ``hold`` before it where it shall not have it again at once."""
        for stored in self._registry.store.all(WORKLOADS):
            workload = stored.object
            if workload["metadata"]["ownerReferences"][0]["name"] == job:
                self._evicting[workload["metadata"]["uid"]] = ("Preempted", message)
                return
        raise LookupError(f"no Workload of {job}")

    # ---- what Kueue does -------------------------------------------------------------------------------------------------
    def step(self) -> None:
        """One look at every Job and JobSet with a queue."""
        for resource in (JOBS, JOB_SETS):
            for stored in self._registry.store.all(resource):
                if QUEUE in (stored.object["metadata"].get("labels") or {}) and not _part_of_a_set(stored.object):
                    self._look(resource, stored.object)

    def _suspended_at_first(self, resource: Resource, new: Object, old: Object | None) -> Object:
        """The webhook: what has a queue is created suspended."""
        queued = resource in (JOBS, JOB_SETS) and QUEUE in (new["metadata"].get("labels") or {})
        if not queued or old is not None or _part_of_a_set(new):
            return new
        return {**new, "spec": {**new["spec"], "suspend": True}}

    def _look(self, resource: Resource, job: Object) -> None:
        namespace, name, uid = (job["metadata"][k] for k in ("namespace", "name", "uid"))
        called = f"{resource.kind.lower()}-{name}"[:57] + "-" + hashlib.sha1(uid.encode()).hexdigest()[:5]
        workload = self._registry.find(WORKLOADS, namespace, called)
        over = next((t for t in ("Complete", "Completed", "Failed") if holds(job, t)), None)
        if workload is None:
            if over is None and not job["metadata"].get("deletionTimestamp"):
                made = _workload(resource, job, called, self._quota.priority(job))
                self._registry.create(WORKLOADS, namespace, made, "kueue")
            return
        if over is not None:
            if not holds(workload, "Finished"):
                reason = "Failed" if over == "Failed" else "Succeeded"
                message = next(c for c in job["status"]["conditions"] if c["type"] == over).get("message", "")
                self._set(workload, ("Finished", "True", reason, message or "Job finished"))
            return
        self._admit_or_evict(resource, job, workload)

    def _admit_or_evict(self, resource: Resource, job: Object, workload: Object) -> None:
        uid = workload["metadata"]["uid"]
        admitted = holds(workload, "Admitted")
        self._out_of_time(workload)
        if not workload["spec"].get("active", True):
            if admitted:
                reason = self._evicting.pop(uid, ("Deactivated", "The workload is deactivated"))
                self._evict(resource, job, workload, *reason)
            elif not holds(workload, "QuotaReserved") and not _suspended(job):
                self._suspend(resource, job, True)
            elif not holds(workload, "Evicted"):
                self._set(workload, ("Evicted", "True", "Deactivated", "The workload is deactivated"))
            return
        if admitted and uid in self._evicting:
            self._evict(resource, job, workload, *self._evicting.pop(uid))
        elif admitted and _suspended(job):
            self._suspend(resource, job, False)
        elif not admitted and not _suspended(job):
            self._suspend(resource, job, True)
        elif not admitted and not _busy(job):
            self._admit(workload)

    def _admit(self, workload: Object) -> None:
        namespace, queue = workload["metadata"]["namespace"], workload["spec"]["queueName"]
        if self._registry.find(LOCAL_QUEUES, namespace, queue) is None:
            self._set(workload, ("QuotaReserved", "False", "Inadmissible", f"LocalQueue {queue} doesn't exist"))
        elif self.holding or not self._quota.has_room(workload):
            for victim in self._quota.victims(workload):
                self._evicting[victim["metadata"]["uid"]] = ("Preempted", _PREEMPTED)
            short = "insufficient unused quota for nvidia.com/gpu in flavor gpu, 1 more needed"
            message = f"couldn't assign flavors to pod set main: {short}"
            self._set(workload, ("QuotaReserved", "False", "Pending", message))
        else:
            changes = [
                ("QuotaReserved", "True", "QuotaReserved", "Quota reserved in ClusterQueue gpus"),
                ("Admitted", "True", "Admitted", "The workload is admitted"),
            ]
            for sort in ("Evicted", "Preempted"):
                if holds(workload, sort):
                    changes.append((sort, "False", "QuotaReserved", f"Previously: {found(workload, sort)['message']}"))  # type: ignore[index]
            self._set(workload, *changes, admission={"clusterQueue": "gpus", "podSetAssignments": [{"name": "main"}]})

    def _evict(self, resource: Resource, job: Object, workload: Object, reason: str, message: str) -> None:
        changes = [("Evicted", "True", reason, message)]
        if reason == "Preempted":
            changes.append(("Preempted", "True", "InClusterQueue", message))
        changes.append(("QuotaReserved", "False", "Pending", message))
        changes.append(("Admitted", "False", "NoReservation", "The workload has no reservation"))
        self._set(workload, *changes, admission=None)
        self._suspend(resource, job, True)

    def _out_of_time(self, workload: Object) -> None:
        limit = workload["spec"].get("maximumExecutionTimeSeconds")
        admitted = found(workload, "Admitted")
        if (
            limit is None
            or admitted is None
            or admitted["status"] != "True"
            or not workload["spec"].get("active", True)
        ):
            return
        if self._clock.now().timestamp() - moment(admitted["lastTransitionTime"]).timestamp() >= limit:
            why = (
                "DeactivatedDueToMaximumExecutionTimeExceeded",
                "The workload is deactivated due to exceeding the maximum execution time",
            )
            self._evicting[workload["metadata"]["uid"]] = why
            key = (workload["metadata"]["namespace"], workload["metadata"]["name"])
            self._registry.merge(WORKLOADS, *key, {"spec": {"active": False}}, manager="kueue")
            workload["spec"]["active"] = False

    def _suspend(self, resource: Resource, job: Object, suspend: bool) -> None:
        key = (job["metadata"]["namespace"], job["metadata"]["name"])
        self._registry.merge(resource, *key, {"spec": {"suspend": suspend}}, manager="kueue")
        if suspend and job.get("status", {}).get("startTime"):
            self._registry.merge(resource, *key, {"status": {"startTime": None}}, "status", manager="kueue")

    def _set(self, workload: Object, *changes: tuple[str, str, str, str], **status: Any) -> None:
        now = stamp(self._clock.now())
        conditions = workload.get("status", {}).get("conditions")
        for sort, value, reason, message in changes:
            conditions = with_condition(conditions, sort, value, reason, message, now)
        key = (workload["metadata"]["namespace"], workload["metadata"]["name"])
        patch = {"status": {"conditions": conditions, **status}}
        self._registry.merge(WORKLOADS, *key, patch, "status", manager="kueue")


def _workload(resource: Resource, job: Object, called: str, priority: int) -> Object:
    metadata = job["metadata"]
    if resource == JOBS:
        sets = [
            {"name": "main", "count": job["spec"]["parallelism"], "template": copy.deepcopy(job["spec"]["template"])}
        ]
    else:
        sets = [
            {
                "name": r["name"],
                "count": r["template"]["spec"].get("parallelism", 1),
                "template": r["template"]["spec"]["template"],
            }
            for r in job["spec"]["replicatedJobs"]
        ]
    owner = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    spec: Object = {"queueName": metadata["labels"][QUEUE], "podSets": sets, "active": True, "priority": priority}
    if limit := metadata["labels"].get(_MAX_EXECUTION):
        spec["maximumExecutionTimeSeconds"] = int(limit)
    owners = [{**owner, "controller": True, "blockOwnerDeletion": True}]
    return {
        "metadata": {"name": called, "labels": {_JOB_UID: metadata["uid"]}, "ownerReferences": owners},
        "spec": spec,
    }


def _suspended(job: Object) -> bool:
    return bool(job["spec"].get("suspend"))


def _busy(job: Object) -> bool:
    status = job.get("status", {})
    return bool(status.get("active") or status.get("terminating")) or any(
        replicated.get("active") for replicated in status.get("replicatedJobsStatus") or ()
    )


def _part_of_a_set(job: Object) -> bool:
    return any(owner["kind"] == "JobSet" for owner in job["metadata"].get("ownerReferences") or ())
