"""Why a pod does not run yet, and why it ended."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from serin.controller.jobs.failures import DISRUPTED, RETRY_CODE
from serin.controller.jobs.pod import CONTAINER
from serin.controller.objects import condition, container_state, has_ended, phase_of, true_condition
from serin.controller.observed import Manifest
from serin.controller.reasons.cause import Cause, shortened
from serin.controller.reasons.scheduling import unschedulable
from serin.core.task import Ending

_IMAGE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
_START = {"CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError"}
_DISRUPTIONS = {
    "PreemptionByScheduler": ("Preempted", "a pod of higher priority took its place"),
    "EvictionByEvictionAPI": ("Evicted", "it was evicted, as when a node is drained"),
    "TerminationByKubelet": ("Evicted", "the node shut down or ran short of something"),
    "DeletionByTaintManager": ("NodeLost", "the node got a taint that it does not tolerate, as when it is unreachable"),
    "DeletionByPodGC": ("NodeLost", "the node is gone"),
}
"""What the control plane writes into the condition DisruptionTarget (kubernetes.io/docs/concepts/workloads/pods/disruptions)."""
DISRUPTIONS = frozenset({"Preempted", "Evicted", "NodeLost"})
"""Reasons of endings that are not the program's own."""
_BY_CODE = {2: "BadUsage", 3: "GateSaidNo", 78: "BadConfig"}
_KILLED = 128


def waits_for(pod: Manifest) -> Cause | None:
    """What keeps a pod from running; None where nothing does, or nothing is known."""
    if has_ended(pod) or (phase_of(pod) == "Running" and container_state(pod, "waiting") is None):
        return None
    scheduled = condition(pod, "PodScheduled")
    if scheduled and scheduled.get("status") == "False":
        if scheduled.get("reason") == "SchedulingGated":
            return Cause("SchedulingGated", "the pod waits until its scheduling gates are lifted")
        return unschedulable(str(scheduled.get("message") or ""), _requests(pod))
    waiting = container_state(pod, "waiting") or {}
    reason, said = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in _IMAGE:
        image = _container(pod).get("image", "its image")
        return Cause(
            "ImagePull",
            shortened(
                f"image {image} could not be pulled ({reason}{f': {said}' if said else ''}): check placement.image and "
                "placement.imagePullSecrets"
            ),
        )
    if reason == "CreateContainerConfigError":
        return Cause(
            "ConfigMissing",
            shortened(
                f"the container lacks what it refers to ({said or reason}): create it, or mend placement.secrets"
            ),
        )
    if reason in _START:
        return Cause("ContainerError", shortened(f"the container does not start ({reason}): {said}"))
    return None


def ended_by(pod: Manifest, memory_limit: str, estimate_bytes: int | None = None) -> Cause | None:
    """Why a pod ended; None while it has not.

    Args:
        pod: any pod of a stage.
        memory_limit: of its container, where its own spec does not tell.
        estimate_bytes: what training was planned to take of main memory, if nothing newer stands in the pod's last words.
    """
    if not has_ended(pod) and container_state(pod, "terminated") is None:
        return None
    terminated = container_state(pod, "terminated") or {}
    code: int | None = terminated.get("exitCode")
    if code == 0 and phase_of(pod) != "Failed":
        return Cause("Completed", "done", 0)
    ending, said = last_words(pod)
    if terminated.get("reason") == "OOMKilled":
        limit = ((_container(pod).get("resources") or {}).get("limits") or {}).get("memory", memory_limit)
        estimate = (ending.memory_estimate_bytes if ending else None) or estimate_bytes
        return Cause("OOMKilled", _out_of_memory(limit, estimate), code)
    status = pod.get("status") or {}
    if status.get("reason") == "Evicted":
        return Cause(
            "Evicted", shortened(f"the node evicted the pod: {status.get('message') or 'it gave no reason'}"), code
        )
    if disrupted := true_condition(pod, DISRUPTED):
        reason, what = _DISRUPTIONS.get(str(disrupted.get("reason")), ("Evicted", "the cluster ended it"))
        return Cause(reason, shortened(f"{what}: {disrupted.get('message') or disrupted.get('reason')}"), code)
    if status.get("reason") in ("NodeLost", "NodeShutdown", "Terminated"):
        return Cause("NodeLost", shortened(str(status.get("message") or "the node is gone or shut down")), code)
    if status.get("reason") == "DeadlineExceeded":
        return Cause("DeadlineExceeded", shortened(str(status.get("message") or "the pod ran too long")), code)
    if terminated.get("reason") in ("StartError", "ContainerCannotRun"):
        return Cause("ContainerError", shortened(f"the container did not start: {said}"), code)
    return _by_exit_code(code, said)


def last_words(pod: Manifest) -> tuple[Ending | None, str]:
    """The termination message as the task wrote it, and what it says; where it is none of the task's, its raw text."""
    raw = str((container_state(pod, "terminated") or {}).get("message") or "").strip()
    try:
        ending = Ending.model_validate_json(raw)
    except ValidationError:
        return None, shortened(raw)
    return ending, shortened(ending.message)


def _by_exit_code(code: int | None, said: str) -> Cause:
    if code is None:
        return Cause("Error", said or "the pod failed, and its node did not say how")
    if code == RETRY_CODE:
        return Cause("Stopped", said or "it was stopped from outside after a new checkpoint had been saved", code)
    if code > _KILLED:
        killed = f"it was ended by signal {code - _KILLED}"
        return Cause("Killed", f"{killed}: {said}" if said else killed, code)
    return Cause(_BY_CODE.get(code, "Error"), said or f"it ended with exit code {code} and said nothing", code)


def _out_of_memory(limit: str, estimate_bytes: int | None) -> str:
    found = f"it took more memory than its limit of {limit or 'the node'}"
    planned = f"; the plan's estimate was {estimate_bytes / 2**30:.1f} GiB" if estimate_bytes else ""
    return f"{found}{planned}: raise placement's memory, or lower train.micro_batch_size or train.max_tokens"


def _container(pod: Manifest) -> Mapping[str, Any]:
    containers = (pod.get("spec") or {}).get("containers") or []
    found: Mapping[str, Any] = next((each for each in containers if each.get("name") == CONTAINER), {})
    return found


def _requests(pod: Manifest) -> Mapping[str, str]:
    found: Mapping[str, str] = (_container(pod).get("resources") or {}).get("requests") or {}
    return found
