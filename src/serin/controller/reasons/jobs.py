"""Why a Job or JobSet failed, from its condition Failed and its pods. One failed pod is no failed Job."""

import re
from collections.abc import Sequence
from typing import Any

from serin.controller.jobs.failures import DEADLINE_EXCEEDED, FINAL_CODES, POD_FAILURE_POLICY, RETRY_CODE
from serin.controller.objects import container_state, finish_of, name_of
from serin.controller.observed import Manifest
from serin.controller.reasons.cause import Cause, shortened
from serin.controller.reasons.pods import DISRUPTIONS, ended_by
from serin.core.resources.finetune import Attempt

_CODE = re.compile(r"failed with exit code (\d+) ")
_NAMES = {2: "BadUsage", 3: "GateSaidNo", 78: "BadConfig"}
_ITS_OWN = {"OOMKilled", "ContainerError", "Killed"}
"""Reasons that say more than that all retries are used up."""


def failure_of(
    job: Manifest,
    children: Sequence[Manifest],
    pods: Sequence[Manifest],
    attempts: Sequence[Attempt],
    *,
    retries: int,
    deadline_s: int,
    memory_limit: str,
    estimate_bytes: int | None,
) -> Cause:
    """Why a failed Job or JobSet failed.

    Args:
        job: with its condition Failed.
        children: a JobSet's Jobs: only they say why.
        pods: those that are still there.
        attempts: what is remembered of those that are not.
        retries: failures that were allowed.
        deadline_s: how long it was allowed to take.
        memory_limit: of a pod.
        estimate_bytes: main memory that training was planned to take.
    """
    own = _failed(job)
    below = [condition for child in children if (condition := _failed(child))]
    decisive = min(below, key=lambda condition: str(condition.get("lastTransitionTime") or ""), default=own)
    reason, said = str(decisive.get("reason") or ""), str(decisive.get("message") or "")
    endings = _endings(pods, memory_limit, estimate_bytes)
    if reason == DEADLINE_EXCEEDED:
        too_long = f"it took longer than placement.deadlineS = {deadline_s} s: raise it in a new run"
        return Cause("DeadlineExceeded", too_long)
    if reason == POD_FAILURE_POLICY:
        return _final(said, endings, attempts)
    counted = [(name, cause) for name, cause in endings if not _is_free(cause)]
    if not counted:
        code = next(
            (each.exit_code for each in reversed(attempts) if each.exit_code not in (None, 0, RETRY_CODE)), None
        )
        old = next((each.reason for each in reversed(attempts) if each.reason in _ITS_OWN), None)
        return Cause(old or "BackoffLimitExceeded", shortened(f"{reason}: {said}"), code)
    name, last = counted[-1]
    spent = f"pod {name}: {last.message}. No retries are left (placement.retries = {retries})"
    if final := next((cause for _, cause in counted if cause.exit_code in FINAL_CODES), None):
        return final
    return Cause(last.reason if last.reason in _ITS_OWN else "BackoffLimitExceeded", shortened(spent), last.exit_code)


def _final(said: str, endings: Sequence[tuple[str, Cause]], attempts: Sequence[Attempt]) -> Cause:
    """Of an exit code that another try does not change."""
    found = _CODE.search(said)
    code = int(found[1]) if found else None
    for _, cause in reversed(endings):
        if cause.exit_code == code or (code is None and cause.exit_code in FINAL_CODES):
            return cause
    code = code or next((each.exit_code for each in reversed(attempts) if each.exit_code in FINAL_CODES), None)
    return Cause(_NAMES.get(code or 0, "PodFailurePolicy"), shortened(said), code)


def _endings(pods: Sequence[Manifest], memory_limit: str, estimate_bytes: int | None) -> list[tuple[str, Cause]]:
    """Pods that ended otherwise than well, the latest last."""
    found = []
    for pod in pods:
        cause = ended_by(pod, memory_limit, estimate_bytes)
        if cause and cause.reason != "Completed":
            when = str((container_state(pod, "terminated") or {}).get("finishedAt") or "")
            found.append((when, name_of(pod), cause))
    return [(name, cause) for _, name, cause in sorted(found, key=lambda each: each[:2])]


def _is_free(cause: Cause) -> bool:
    """Whether the Job did not count it."""
    return cause.exit_code == RETRY_CODE or cause.reason in DISRUPTIONS


def _failed(job: Manifest) -> dict[str, Any]:
    finish = finish_of(job)
    return dict(finish[1]) if finish and finish[0] == "failed" else {}
