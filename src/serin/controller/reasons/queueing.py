"""What Kueue did to a Workload, in words (kueue.x-k8s.io, apis/kueue/v1beta1/workload_types.go)."""

import re

from serin.controller.objects import condition, true_condition
from serin.controller.observed import Manifest
from serin.controller.reasons.cause import Cause, shortened

_TOO_LONG = "MaximumExecutionTimeExceeded"
_BY_RULE = re.compile(r"^DeactivatedDueTo([A-Za-z]+)$")
"""Kueue's reason for an eviction by one of its rules; a person's is ``Deactivated`` (pkg/workload/patching)."""


def is_admitted(workload: Manifest | None) -> bool:
    """Whether its quota is reserved and its pods may run."""
    return workload is not None and true_condition(workload, "Admitted") is not None


def is_active(workload: Manifest) -> bool:
    """False where someone keeps it from the queue."""
    return (workload.get("spec") or {}).get("active", True) is not False


def preempted(workload: Manifest | None) -> Cause | None:
    """Whether others took its quota, and it has not got it back."""
    if workload is None or is_admitted(workload):
        return None
    evicted = true_condition(workload, "Evicted")
    by_others = true_condition(workload, "Preempted")
    if by_others is None and (evicted is None or evicted.get("reason") != "Preempted"):
        return None
    said = str((by_others or evicted or {}).get("message") or "Kueue gave its quota to another run")
    return Cause(
        "Preempted", shortened(f"preempted by Kueue: {said}. It waits in the queue, and goes on from its checkpoint")
    )


def queued(workload: Manifest | None, queue: str) -> Cause:
    """Why it waits."""
    if workload is None:
        return Cause("Queued", f"Kueue has not seen the Job yet; its queue is {queue}")
    if not is_active(workload):
        return Cause("Deactivated", "someone took it out of the queue: set spec.active of its Workload to true")
    for type_ in ("Evicted", "QuotaReserved", "Admitted"):
        found = condition(workload, type_)
        if found is None or (found.get("status") == "True") != (type_ == "Evicted"):
            continue
        reason = str(found.get("reason") or "")
        said = str(found.get("message") or reason or "no reason is given")
        if type_ == "Evicted":
            return Cause(
                "Preempted" if reason == "Preempted" else "Requeued", shortened(f"evicted by Kueue ({reason}): {said}")
            )
        return Cause("Queued", shortened(f"waits in queue {queue}: {said}"))
    return Cause("Queued", f"waits in queue {queue}")


def given_up(workload: Manifest | None, deadline_s: int) -> Cause | None:
    """Whether Kueue stopped it for good, by a rule and not by a person's hand."""
    if workload is None or is_active(workload):
        return None
    target, evicted = condition(workload, "DeactivationTarget") or {}, condition(workload, "Evicted") or {}
    rule = _BY_RULE.search(str(evicted.get("reason") or ""))
    reason = rule[1] if rule else str(target.get("reason") or "")
    said = str((evicted if rule else target).get("message") or reason)
    if reason == _TOO_LONG:
        longest = f"it ran longer than placement.deadlineS = {deadline_s} s, time in the queue not counted"
        return Cause("DeadlineExceeded", shortened(f"{longest} ({said}): raise it in a new run"))
    return Cause(reason, shortened(f"Kueue took it out of the queue for good: {said}")) if reason else None
