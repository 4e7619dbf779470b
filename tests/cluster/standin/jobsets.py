"""The JobSet controller: Jobs for JobSets, and restarts of all of them together.

Source: kubernetes-sigs/jobset, ``pkg/controllers/jobset_controller.go`` and ``failure_policy.go``, 0.10 (KEP-262:
``onJobFailureMessagePatterns``).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..clock import Clock, moment, stamp
from .conditions import found, holds, with_condition
from .objects import Object
from .registry import Registry
from .resources import JOB_SETS, JOBS

_ATTEMPT = "jobset.sigs.k8s.io/restart-attempt"


class JobSetController:
    """Recreates in a blocking way, whatever ``restartStrategy`` says: new Jobs only when the old ones are gone."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    def step(self) -> None:
        """One look at every JobSet."""
        for stored in self._registry.store.all(JOB_SETS):
            jobset = stored.object
            if holds(jobset, "Completed") or holds(jobset, "Failed"):
                self._collect(jobset)
            elif not jobset["metadata"].get("deletionTimestamp"):
                self._look(jobset)

    def _look(self, jobset: Object) -> None:
        metadata, spec = jobset["metadata"], jobset["spec"]
        status = jobset.get("status", {})
        attempt = str(status.get("restarts", 0))
        children = [child.object for resource, _, child in self._registry.children(metadata["uid"]) if resource == JOBS]
        old = [job for job in children if job["metadata"]["labels"][_ATTEMPT] != attempt]
        for job in old:
            if not job["metadata"].get("deletionTimestamp"):
                self._registry.delete(JOBS, *_key(job), uid=job["metadata"]["uid"], propagation="Foreground")
        current = [job for job in children if job["metadata"]["labels"][_ATTEMPT] == attempt]
        failed = sorted((job for job in current if holds(job, "Failed")), key=lambda job: job["metadata"]["name"])
        if failed:
            self._fail_or_restart(jobset, failed[0])
        elif current and not old and all(holds(job, "Complete") for job in current) and len(current) == _count(spec):
            self._finish(jobset, "Completed", "AllJobsCompleted", "jobset completed successfully")
        else:
            self._run(jobset, current, bool(old))

    def _run(self, jobset: Object, current: Sequence[Object], waiting: bool) -> None:
        spec, suspend = jobset["spec"], bool(jobset["spec"].get("suspend"))
        for job in current:
            if bool(job["spec"].get("suspend")) != suspend:
                self._registry.merge(JOBS, *_key(job), {"spec": {"suspend": suspend}}, manager="jobset")
        names = {job["metadata"]["name"] for job in current}
        for replicated in spec["replicatedJobs"]:
            for index in range(replicated.get("replicas", 1)):
                body = _child(jobset, replicated, index)
                if body["metadata"]["name"] not in names and not waiting and not suspend:
                    self._registry.create(JOBS, jobset["metadata"]["namespace"], body, "jobset")
        conditions = jobset.get("status", {}).get("conditions")
        if suspend or found(jobset, "Suspended") is not None:
            told = (
                ("True", "SuspendedJobs", "jobset is suspended")
                if suspend
                else ("False", "ResumedJobs", "jobset is resumed")
            )
            conditions = with_condition(conditions, "Suspended", *told, stamp(self._clock.now()))
        replicated_status = [
            {
                "name": replicated["name"],
                "ready": sum(1 for j in current if j.get("status", {}).get("ready")),
                "succeeded": sum(1 for j in current if holds(j, "Complete")),
                "failed": sum(1 for j in current if holds(j, "Failed")),
                "active": sum(
                    1 for j in current if j.get("status", {}).get("active") or j.get("status", {}).get("terminating")
                ),
                "suspended": sum(1 for j in current if j["spec"].get("suspend")),
            }
            for replicated in spec["replicatedJobs"]
        ]
        self._write(jobset, conditions=conditions, replicatedJobsStatus=replicated_status)

    def _fail_or_restart(self, jobset: Object, job: Object) -> None:
        policy = jobset["spec"].get("failurePolicy") or {}
        condition = found(job, "Failed") or {}
        reason, message = condition.get("reason", ""), condition.get("message", "")
        action = next((r["action"] for r in policy.get("rules") or () if _applies(r, reason, message)), "RestartJobSet")
        status = jobset.get("status", {})
        told = f"(first failed job: {job['metadata']['name']})"
        if action == "FailJobSet":
            what = f"jobset failed due to FailJobSet failure policy action {told}"
            self._finish(jobset, "Failed", "FailJobSetFailurePolicyAction", what)
            return
        counted = status.get("restartsCountTowardsMax", 0)
        if action == "RestartJobSet" and counted >= policy.get("maxRestarts", 0):
            self._finish(
                jobset, "Failed", "ReachedMaxRestarts", f"jobset failed due to reaching max number of restarts {told}"
            )
            return
        more = 1 if action == "RestartJobSet" else 0
        self._write(jobset, restarts=status.get("restarts", 0) + 1, restartsCountTowardsMax=counted + more)

    def _finish(self, jobset: Object, sort: str, reason: str, message: str) -> None:
        conditions = with_condition(
            jobset.get("status", {}).get("conditions"), sort, "True", reason, message, stamp(self._clock.now())
        )
        self._write(jobset, conditions=conditions, terminalState=sort)

    def _collect(self, jobset: Object) -> None:
        keep_s = jobset["spec"].get("ttlSecondsAfterFinished")
        ended = next(found(jobset, sort) for sort in ("Completed", "Failed") if holds(jobset, sort))
        if keep_s is not None and ended is not None:
            age_s = self._clock.now().timestamp() - moment(ended["lastTransitionTime"]).timestamp()
            if age_s >= keep_s:
                self._registry.delete(JOB_SETS, *_key(jobset), uid=jobset["metadata"]["uid"], propagation="Background")

    def _write(self, jobset: Object, **changes: Any) -> None:
        status = {**jobset.get("status", {}), **{k: v for k, v in changes.items() if v is not None}}
        if status != jobset.get("status"):
            self._registry.patch(
                JOB_SETS, *_key(jobset), lambda old: {**old, "status": status}, "status", manager="jobset"
            )


def _applies(rule: Mapping[str, Any], reason: str, message: str) -> bool:
    reasons, patterns = rule.get("onJobFailureReasons") or (), rule.get("onJobFailureMessagePatterns") or ()
    return (not reasons or reason in reasons) and (not patterns or any(re.search(p, message) for p in patterns))


def _child(jobset: Object, replicated: Mapping[str, Any], index: int) -> Object:
    metadata = jobset["metadata"]
    attempt = str(jobset.get("status", {}).get("restarts", 0))
    labels = {
        "jobset.sigs.k8s.io/jobset-name": metadata["name"],
        "jobset.sigs.k8s.io/replicatedjob-name": replicated["name"],
        "jobset.sigs.k8s.io/job-index": str(index),
        _ATTEMPT: attempt,
    }
    given = replicated["template"]
    template = given["spec"]["template"]
    pod_labels = {**(template.get("metadata", {}).get("labels") or {}), **labels}
    network = jobset["spec"].get("network") or {}
    pod = {**template["spec"], "subdomain": network.get("subdomain", metadata["name"])}
    owner = {
        "apiVersion": JOB_SETS.api_version,
        "kind": "JobSet",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    spec = {
        **given["spec"],
        "template": {"metadata": {"labels": pod_labels}, "spec": pod},
        "suspend": bool(jobset["spec"].get("suspend")),
    }
    return {
        "metadata": {
            "name": f"{metadata['name']}-{replicated['name']}-{index}",
            "labels": {**(given.get("metadata", {}).get("labels") or {}), **labels},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _count(spec: Mapping[str, Any]) -> int:
    return sum(int(replicated.get("replicas", 1)) for replicated in spec["replicatedJobs"])


def _key(of: Mapping[str, Any]) -> tuple[str, str]:
    return of["metadata"]["namespace"], of["metadata"]["name"]
