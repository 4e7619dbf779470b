"""Conditions of built-in kinds, as their controllers keep them: the transition time moves with the status alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from .objects import Object


def holds(of: Mapping[str, Any], sort: str) -> bool:
    """Whether a condition is True."""
    return (found(of, sort) or {}).get("status") == "True"


def found(of: Mapping[str, Any], sort: str) -> Mapping[str, Any] | None:
    """One condition of an object."""
    conditions = of.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == sort), None)


def with_condition(
    conditions: Sequence[Mapping[str, Any]] | None, sort: str, status: str, reason: str, message: str, now: str
) -> list[Object]:
    """The conditions with one of them set."""
    old = next((c for c in conditions or () if c["type"] == sort), None)
    moved = now if old is None or old["status"] != status else old["lastTransitionTime"]
    new = {"type": sort, "status": status, "reason": reason, "message": message, "lastTransitionTime": moved}
    if old is None:
        return [*(dict(c) for c in conditions or ()), new]
    return [{**old, **new} if c["type"] == sort else dict(c) for c in conditions or ()]
