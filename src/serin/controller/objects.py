"""Reading what Kubernetes, Kueue and JobSet wrote into their objects' status."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from serin.controller.jobs.names import INDEX_LABEL
from serin.controller.jobs.pod import CONTAINER
from serin.controller.observed import Manifest

Finish = Literal["complete", "failed"]


def condition(item: Manifest, type_: str) -> Mapping[str, Any] | None:
    """An object's condition of this type; None where it has none."""
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == type_), None)


def true_condition(item: Manifest, *types: str) -> Mapping[str, Any] | None:
    """The first of these conditions that is true."""
    found = (condition(item, type_) for type_ in types)
    return next((each for each in found if each and each.get("status") == "True"), None)


def finish_of(job: Manifest) -> tuple[Finish, Mapping[str, Any]] | None:
    """How a Job (Complete, Failed) or JobSet (Completed, Failed) ended, with the condition that says so; None while it lives.

    FailureTarget and SuccessCriteriaMet come before the last pod has ended, and are no end yet.
    """
    if complete := true_condition(job, "Complete", "Completed"):
        return "complete", complete
    if failed := true_condition(job, "Failed"):
        return "failed", failed
    return None


def name_of(item: Manifest) -> str:
    """``metadata.name``."""
    return str(item["metadata"]["name"])


def uid_of(item: Manifest) -> str:
    """``metadata.uid``."""
    return str(item["metadata"].get("uid", ""))


def is_leaving(item: Manifest) -> bool:
    """Whether it is being deleted."""
    return bool(item["metadata"].get("deletionTimestamp"))


def phase_of(pod: Manifest) -> str:
    """Pending, Running, Succeeded, Failed or Unknown."""
    return str((pod.get("status") or {}).get("phase", "Pending"))


def container_state(pod: Manifest, state: Literal["waiting", "running", "terminated"]) -> Mapping[str, Any] | None:
    """The state of the container that does the work; None where it is in another."""
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        if status.get("name") == CONTAINER:
            found: Mapping[str, Any] | None = (status.get("state") or {}).get(state)
            return found
    return None


def is_running(pod: Manifest) -> bool:
    """Whether its container runs, as far as the node says."""
    return phase_of(pod) == "Running" and container_state(pod, "terminated") is None


def has_ended(pod: Manifest) -> bool:
    """Whether it will do nothing any more."""
    return phase_of(pod) in ("Succeeded", "Failed")


def leads(pod: Manifest) -> bool:
    """Whether it is a stage's only pod, or the first of those that train together."""
    metadata = pod["metadata"]
    index = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}.get(INDEX_LABEL, "0")
    return bool(index == "0")


def newest_last(pods: Sequence[Manifest]) -> list[Manifest]:
    """By the time they were made, and by name where that is the same."""
    return sorted(pods, key=lambda pod: (str(pod["metadata"].get("creationTimestamp") or ""), name_of(pod)))
