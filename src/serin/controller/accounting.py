"""GPU-seconds: GPUs times the time that a pod's container ran, over all attempts of a stage, preempted ones too.

An attempt is one pod. Of pods that train together it is the first one, with the GPUs of all: they start and end together.
What was counted stays in the status when the pod is gone, under the pod's name, so that nothing counts twice.
"""

from collections.abc import Sequence
from datetime import datetime

from serin.controller.jobs.failures import DISRUPTED
from serin.controller.objects import container_state, has_ended, leads, name_of, true_condition
from serin.controller.observed import Manifest
from serin.controller.reasons.pods import ended_by
from serin.controller.times import read, seconds_between, written
from serin.core.resources.finetune import Attempt, StageStatus

RUNNING_STEP_S = 300
"""An attempt that still runs counts in steps of this many seconds, so that a status is not written for the clock's sake alone.
Once it ends it counts to the second."""
LISTED = 50
"""Attempts that a status lists."""
_EPOCH_YEAR = 1970
"""A container that could not be started has a start in this year (kubernetes/kubernetes, StartError)."""


def account(
    known: StageStatus,
    pods: Sequence[Manifest],
    *,
    gpus: int,
    memory_limit: str,
    ends: Sequence[str],
    gone_for: str,
    now: datetime,
) -> StageStatus:
    """A stage's attempts and GPU-seconds, with what its pods tell now.

    Args:
        known: what stood in the status.
        pods: those of the stage that are there.
        gpus: of one attempt.
        memory_limit: of one pod.
        ends: times (RFC 3339) at which the Job's pods are known to have been ended: suspension, eviction, the Job's end. They
            and the start of its successor date the end of a pod that vanished unseen; where none fits, it ended just now.
        gone_for: why pods vanish, for such an attempt.
        now: the time.
    """
    found = {attempt.pod: attempt for attempt in known.attempts}
    oldest = min((attempt.started or "~" for attempt in known.attempts), default="")
    here = set()
    for pod in pods:
        attempt = _attempt(pod, gpus, memory_limit)
        if not leads(pod) or attempt is None:
            continue
        here.add(attempt.pod)
        forgotten = known.attempts_before and attempt.pod not in found and (attempt.started or "") < oldest
        if not forgotten:
            found[attempt.pod] = _merged(found.get(attempt.pod), attempt)
    for name, attempt in found.items():
        if name not in here and attempt.started and attempt.finished is None:
            others = [other.started for other in found.values() if other.started and other.pod != name]
            end = _end_of(attempt.started, [*ends, *others], now)
            found[name] = attempt.model_copy(update={"finished": end, "reason": attempt.reason or gone_for})
    ordered = sorted(found.values(), key=_in_time)
    dropped, listed = ordered[:-LISTED], ordered[-LISTED:]
    before = known.gpu_seconds_before + sum(gpu_seconds(attempt, now) for attempt in dropped)
    return known.model_copy(
        update={
            "attempts": listed,
            "attempts_before": known.attempts_before + len(dropped),
            "gpu_seconds_before": before,
            "gpu_seconds": before + sum(gpu_seconds(attempt, now) for attempt in listed),
        }
    )


def _in_time(attempt: Attempt) -> tuple[str, str, str]:
    """Of those that began in one second, the one that ended first comes first."""
    return attempt.started or attempt.finished or "~", attempt.finished or "~", attempt.pod


def gpu_seconds(attempt: Attempt, now: datetime) -> float:
    """What one attempt took, or has taken up to the last full step."""
    if attempt.finished is not None:
        return attempt.gpus * seconds_between(attempt.started, attempt.finished)
    ran = seconds_between(attempt.started, written(now))
    return attempt.gpus * (ran // RUNNING_STEP_S) * RUNNING_STEP_S


def next_step_s(attempts: Sequence[Attempt], now: datetime) -> float | None:
    """Seconds until one that runs has to be counted again; None where none does."""
    ran = [seconds_between(each.started, written(now)) for each in attempts if each.started and each.finished is None]
    return min((RUNNING_STEP_S - each % RUNNING_STEP_S for each in ran), default=None)


def _attempt(pod: Manifest, gpus: int, memory_limit: str) -> Attempt | None:
    """What a pod tells; None where its container has not started yet."""
    running, terminated = container_state(pod, "running"), container_state(pod, "terminated")
    started = (terminated or running or {}).get("startedAt")
    finished = (terminated or {}).get("finishedAt")
    if finished is None and has_ended(pod):  # the node did not live to say so
        finished = (true_condition(pod, DISRUPTED) or {}).get("lastTransitionTime") or started
    if started is None and finished is None and not has_ended(pod):
        return None
    began = read(started)
    if began is None or began.year <= _EPOCH_YEAR:
        started = finished
    cause = ended_by(pod, memory_limit)
    return Attempt(
        pod=name_of(pod),
        node=(pod.get("spec") or {}).get("nodeName"),
        started=started,
        finished=finished,
        gpus=gpus,
        exit_code=cause.exit_code if cause else None,
        reason=cause.reason if cause else None,
    )


def _merged(old: Attempt | None, new: Attempt) -> Attempt:
    """The newer words, without forgetting what only the older ones tell."""
    if old is None:
        return new
    return new.model_copy(update={"started": new.started or old.started, "node": new.node or old.node})


def _end_of(started: str, ends: Sequence[str], now: datetime) -> str:
    """The first known end after a start, and never after now."""
    began = read(started) or now
    times = [time for end in ends if (time := read(end)) and began <= time <= now]
    return written(min(times, default=max(began, now)))
