"""What becomes of an object that somebody deletes: gone at once, or marked until others have done their part."""

from datetime import datetime, timedelta

from ..clock import stamp
from .objects import Object, copied
from .resources import NAMESPACES, PODS, Resource

_FOREGROUND = "foregroundDeletion"


def marked(
    resource: Resource, old: Object, propagation: str | None, grace_s: int | None, now: datetime
) -> Object | None:
    """The object with the marks of its deletion; None where nothing keeps it."""
    finalizers = list(old["metadata"].get("finalizers") or ())
    if propagation == "Foreground" and _FOREGROUND not in finalizers:
        finalizers.append(_FOREGROUND)
    grace = _grace(resource, old, grace_s)
    if not grace and not finalizers and not old.get("spec", {}).get("finalizers"):
        return None
    if grace >= old["metadata"].get("deletionGracePeriodSeconds", grace + 1):
        return old
    new = copied(old)
    new["metadata"]["deletionTimestamp"] = stamp(now + timedelta(seconds=grace))
    new["metadata"]["deletionGracePeriodSeconds"] = grace
    if finalizers:
        new["metadata"]["finalizers"] = finalizers
    if resource == NAMESPACES:
        new["status"] = {**new.get("status", {}), "phase": "Terminating"}
    return new


def is_over(new: Object) -> bool:
    """Whether nothing keeps an object any more that was marked."""
    metadata = new["metadata"]
    kept = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
    return bool(metadata.get("deletionTimestamp")) and not kept


def _grace(resource: Resource, old: Object, grace_s: int | None) -> int:
    """Seconds until its kubelet must have ended it: none for a pod that is on no node, or has ended (registry/core/pod)."""
    if (
        resource != PODS
        or not old["spec"].get("nodeName")
        or old.get("status", {}).get("phase") in ("Succeeded", "Failed")
    ):
        return 0
    return int(old["spec"].get("terminationGracePeriodSeconds", 30)) if grace_s is None else grace_s
