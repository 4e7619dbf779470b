"""Events (core/v1) that the cluster's own parts write about objects."""

import itertools

from ..clock import Clock, stamp
from .objects import Object
from .registry import Registry
from .resources import CORE_EVENTS

_numbers = itertools.count(1)


def tell(registry: Registry, clock: Clock, about: Object, source: str, sort: str, reason: str, message: str) -> None:
    """One event."""
    metadata, now = about["metadata"], stamp(clock.now())
    reference = {
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
    }
    body = {
        "metadata": {"name": f"{metadata['name'][:200]}.{next(_numbers):016x}"},
        "involvedObject": reference,
        "type": sort,
        "reason": reason,
        "message": message,
        "source": {"component": source},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    registry.create(CORE_EVENTS, metadata["namespace"], body, source)
