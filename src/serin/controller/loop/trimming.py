"""What of an object is read here. The caches hold no more: a thousand Jobs' templates are megabytes that nobody looks at."""

from collections.abc import Callable
from typing import Any

from serin.clients.kubernetes import Object

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The whole object once more, as ``kubectl apply`` keeps it."""


def without_copies(found: Object) -> Object:
    """Without who owns which field, which fills half of an object, and without kubectl's copy."""
    metadata = _without(found["metadata"], "managedFields")
    if _APPLIED in (metadata.get("annotations") or {}):
        metadata["annotations"] = _without(metadata["annotations"], _APPLIED)
    return {**found, "metadata": metadata}


def job(found: Object) -> Object:
    """A Job or JobSet without its template."""
    return _trimmed(found, lambda spec: _only(spec, "suspend"))


def workload(found: Object) -> Object:
    """A Workload without its pods' templates."""
    return _trimmed(found, lambda spec: _only(spec, "active"))


def pod(found: Object) -> Object:
    """A pod without what its containers are told."""
    return _trimmed(
        found,
        lambda spec: (
            _only(spec, "nodeName")
            | {"containers": [_only(each, "name", "image", "resources") for each in spec.get("containers") or []]}
        ),
    )


def _trimmed(found: Object, trim: Callable[[Object], Object]) -> Object:
    kept = without_copies(found)
    return {**kept, "spec": trim(kept["spec"])} if kept.get("spec") else kept


def _only(found: Object, *names: str) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found}


def _without(found: Object, *names: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in names}
