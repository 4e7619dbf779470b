"""The Job controller: pods for Jobs, and what becomes of a Job when they end. Source: ``pkg/controller/job`` and the KEPs 3329
(podFailurePolicy), 3939 (podReplacementPolicy), 2232 (suspend), 2214 (Indexed), 592 (TTL)."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ..clock import Clock, moment, stamp
from . import checks
from .conditions import holds, with_condition
from .happenings import tell
from .objects import Object
from .refusals import Refusal
from .registry import Registry
from .resources import JOBS, PODS

_OVER = ("Succeeded", "Failed")
_TRACKED = "batch.kubernetes.io/job-tracking"
"""The finalizer that keeps a pod until its end is counted (KEP-2307)."""
_INDEX = "batch.kubernetes.io/job-completion-index"


class JobController:
    """``violations`` are the pods that Pod Security refused, in words."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self.violations: list[str] = []
        self._registry = registry
        self._clock = clock
        self._counted: dict[str, dict[str, str]] = {}
        self._made: dict[str, int] = {}

    def step(self) -> None:
        """One look at every Job."""
        store = self._registry.store
        by_job: dict[str, list[Object]] = {}
        for stored in store.all(PODS):
            for owner in stored.object["metadata"].get("ownerReferences") or ():
                by_job.setdefault(owner["uid"], []).append(stored.object)
        for stored in store.all(JOBS):
            job = stored.object
            if holds(job, "Complete") or holds(job, "Failed"):
                self._collect(job)
            elif not job["metadata"].get("deletionTimestamp"):
                self._look(job, by_job.pop(job["metadata"]["uid"], []))
        for pods in by_job.values():  # nobody counts them any more
            for pod in pods:
                self._release(pod)

    # ---- one Job ---------------------------------------------------------------------------------------------------------
    def _look(self, job: Object, pods: Sequence[Object]) -> None:
        counted = self._counted.setdefault(job["metadata"]["uid"], {})
        status = dict(job.get("status", {}))
        spec = job["spec"]
        now = self._clock.now()
        failing = self._count(job, pods, counted)
        active = [p for p in pods if not _over(p) and not p["metadata"].get("deletionTimestamp")]
        ending = [p for p in pods if not _over(p) and p["metadata"].get("deletionTimestamp")]
        succeeded = sum(1 for how in counted.values() if how == "Succeeded")
        failed = sum(1 for how in counted.values() if how == "Failed")
        conditions = list(status.get("conditions") or ())
        if (
            target := next((c for c in conditions if c["type"] == "FailureTarget" and c["status"] == "True"), None)
        ) is not None:
            failing = (target["reason"], target["message"])
        elif failing is None and failed > spec["backoffLimit"]:
            failing = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        elif failing is None and self._too_late(job, now.timestamp()):
            failing = ("DeadlineExceeded", "Job was active longer than specified deadline")
        done = failing is None and succeeded >= spec["completions"]
        stamped = stamp(now)
        if failing:
            conditions = with_condition(conditions, "FailureTarget", "True", *failing, stamped)
        if done:
            told = ("CompletionsReached", "Reached expected number of succeeded pods")
            conditions = with_condition(conditions, "SuccessCriteriaMet", "True", *told, stamped)
        if failing or done or spec["suspend"]:
            for pod in active:
                if spec["suspend"] and not (failing or done):
                    counted[pod["metadata"]["uid"]] = "suspended"
                    self._release(pod)
                self._registry.delete(PODS, *_key(pod), uid=pod["metadata"]["uid"])
            active, ending = [], [p for p in (*active, *ending) if self._registry.find(PODS, *_key(p)) is not None]
        if spec["suspend"] and not (failing or done):
            if not any(c["type"] == "Suspended" and c["status"] == "True" for c in conditions):
                conditions = with_condition(conditions, "Suspended", "True", "JobSuspended", "Job suspended", stamped)
                tell(self._registry, self._clock, job, "job-controller", "Normal", "Suspended", "Job suspended")
        elif not (failing or done):
            resumed = any(c["type"] == "Suspended" and c["status"] == "True" for c in conditions)
            if resumed:
                conditions = with_condition(conditions, "Suspended", "False", "JobResumed", "Job resumed", stamped)
            if resumed or "startTime" not in status:
                status["startTime"] = stamped
            active = [*active, *self._create(job, pods, len(active) + len(ending), succeeded)]
        if not active and not ending and failing and target is not None:
            conditions = with_condition(conditions, "Failed", "True", *failing, stamped)
        if (
            not active
            and not ending
            and done
            and any(c["type"] == "SuccessCriteriaMet" for c in status.get("conditions") or ())
        ):
            told = ("CompletionsReached", "Reached expected number of succeeded pods")
            conditions = with_condition(conditions, "Complete", "True", *told, stamped)
            status["completionTime"] = stamped
        status.update(
            active=len(active), terminating=len(ending), succeeded=succeeded, failed=failed, conditions=conditions
        )
        status.update(ready=sum(1 for p in active if p.get("status", {}).get("phase") == "Running"))
        self._write(job, {k: v for k, v in status.items() if v not in (0, []) or k in ("ready", "terminating")})

    def _count(self, job: Object, pods: Sequence[Object], counted: dict[str, str]) -> tuple[str, str] | None:
        """Count each pod that ended, once; the reason and message where one fails the whole Job."""
        failing = None
        for pod in pods:
            uid = pod["metadata"]["uid"]
            if not _over(pod):
                continue
            if uid not in counted:
                verdict, told = _judged(job, pod)
                counted[uid] = verdict
                failing = failing or told
            self._release(pod)
        return failing

    def _release(self, pod: Object) -> None:
        """Let a pod go that is counted, or never will be."""
        finalizers = pod["metadata"].get("finalizers") or ()
        if _TRACKED in finalizers and self._registry.find(PODS, *_key(pod)) is not None:
            left = [each for each in finalizers if each != _TRACKED]
            patch = {"metadata": {"finalizers": left or None}}
            self._registry.merge(PODS, *_key(pod), patch, manager="job-controller")

    def _too_late(self, job: Object, now: float) -> bool:
        limit, started = job["spec"].get("activeDeadlineSeconds"), job.get("status", {}).get("startTime")
        if limit is None or started is None or job["spec"]["suspend"]:
            return False
        return now - moment(started).timestamp() >= float(limit)

    def _create(self, job: Object, pods: Sequence[Object], busy: int, succeeded: int) -> list[Object]:
        spec = job["spec"]
        wanted = min(spec["parallelism"], spec["completions"] - succeeded) - busy
        indexed = spec["completionMode"] == "Indexed"
        taken = (
            {p["metadata"]["annotations"][_INDEX] for p in pods if p.get("status", {}).get("phase") != "Failed"}
            if indexed
            else set()
        )
        free = iter(str(i) for i in range(spec["completions"]) if str(i) not in taken)
        made = []
        for _ in range(max(0, wanted)):
            index = next(free, None) if indexed else None
            if indexed and index is None:
                break
            if (pod := self._make(job, index)) is not None:
                made.append(pod)
        return made

    def _make(self, job: Object, index: str | None) -> Object | None:
        metadata, template = job["metadata"], job["spec"]["template"]
        if faults := checks.restricted_faults(template["spec"]):
            message = f'pods "{metadata["name"]}-" is forbidden: violates PodSecurity "restricted:latest": {", ".join(faults)}'
            if message not in self.violations:
                self.violations.append(message)
                self._tell_failure(job, message)
            return None
        number = self._made[metadata["uid"]] = self._made.get(metadata["uid"], 0) + 1
        suffix = hashlib.sha256(f"{metadata['uid']}{number}".encode()).hexdigest()[:5]
        name = f"{metadata['name'][:57]}-{suffix}" if index is None else f"{metadata['name'][:52]}-{index}-{suffix}"
        labels = dict(template["metadata"].get("labels") or {})
        annotations = dict(template["metadata"].get("annotations") or {})
        spec = dict(template["spec"])
        if index is not None:
            labels[_INDEX] = annotations[_INDEX] = index
            spec["hostname"] = f"{metadata['name']}-{index}"[:63]
            variable = {"name": "JOB_COMPLETION_INDEX", "value": index}
            spec["containers"] = [{**c, "env": [*(c.get("env") or ()), variable]} for c in spec["containers"]]
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        body = {
            "metadata": {
                "name": name,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [owner],
                "finalizers": [_TRACKED],
            },
            "spec": spec,
        }
        try:
            return self._registry.create(PODS, metadata["namespace"], body, "job-controller")
        except Refusal as refusal:
            self._tell_failure(job, str(refusal))
            self.violations.append(str(refusal))
            return None

    def _tell_failure(self, job: Object, message: str) -> None:
        told = f"Error creating: {message}"
        tell(self._registry, self._clock, job, "job-controller", "Warning", "FailedCreate", told)

    def _collect(self, job: Object) -> None:
        """Remove a finished Job when its time is over, with its pods."""
        keep_s = job["spec"].get("ttlSecondsAfterFinished")
        if keep_s is None:
            return
        ended = next(
            c for c in job["status"]["conditions"] if c["type"] in ("Complete", "Failed") and c["status"] == "True"
        )
        if self._clock.now().timestamp() - moment(ended["lastTransitionTime"]).timestamp() >= keep_s:
            self._registry.delete(JOBS, *_key(job), uid=job["metadata"]["uid"], propagation="Background")

    def _write(self, job: Object, status: Object) -> None:
        if status != job.get("status"):
            self._registry.patch(
                JOBS, *_key(job), lambda old: {**old, "status": status}, "status", manager="job-controller"
            )


def _judged(job: Mapping[str, Any], pod: Mapping[str, Any]) -> tuple[str, tuple[str, str] | None]:
    """How a pod that ended counts: the first rule that matches, else against the backoff limit."""
    if pod["status"]["phase"] == "Succeeded":
        return "Succeeded", None
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    for index, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or ()):
        why = _matched(rule, pod, name)
        if why is None:
            continue
        if rule["action"] == "Ignore":
            return "Ignored", None
        if rule["action"] == "FailJob":
            return "Failed", ("PodFailurePolicy", f"{why} matching FailJob rule at index {index}")
        return "Failed", None
    return "Failed", None


def _matched(rule: Mapping[str, Any], pod: Mapping[str, Any], name: str) -> str | None:
    for pattern in rule.get("onPodConditions") or ():
        for condition in pod["status"].get("conditions") or ():
            if condition["type"] == pattern["type"] and condition["status"] == pattern.get("status", "True"):
                return f"Pod {name} has condition {pattern['type']}"
    if codes := rule.get("onExitCodes"):
        for container in pod["status"].get("containerStatuses") or ():
            if codes.get("containerName") not in (None, container["name"]):
                continue
            code = container["state"].get("terminated", {}).get("exitCode", 0)
            if code != 0 and (code in codes["values"]) == (codes["operator"] == "In"):
                return f"Container {container['name']} for pod {name} failed with exit code {code}"
    return None


def _over(pod: Mapping[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") in _OVER


def _key(of: Mapping[str, Any]) -> tuple[str, str]:
    return of["metadata"]["namespace"], of["metadata"]["name"]
