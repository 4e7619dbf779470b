"""Which pods worked together: of several nodes each attempt has one pod a node, told apart by rank. Pure.

Storage knows pods by their names alone, long after Kubernetes has forgotten them; so the rank is read from the name, and
what belongs together from the times at which the pods lived. JobSet ends all pods of an attempt before it starts the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_FOREVER = datetime.max


@dataclass(frozen=True, slots=True)
class PodLife:
    """One pod, and the time in which something was heard of it; None: not known, or until now."""

    name: str
    rank: int
    began: datetime | None
    ended: datetime | None


def rank_in(pod: str, job: str) -> int:
    """The rank of a pod by its name.

    A Job's pod is ``<job>-<random>``; one of an Indexed Job below a JobSet is ``<job>-run-0-<rank>-<random>``
    (podGenerateNameWithIndex of Kubernetes, which shortens what stands before the rank if need be).
    """
    parts = pod.removeprefix(f"{job}-").split("-") if pod.startswith(f"{job}-") else []
    return int(parts[-2]) if len(parts) > 1 and parts[-2].isdecimal() else 0


def together(pods: Sequence[PodLife]) -> list[list[PodLife]]:
    """The pods of each attempt by rank; attempts are in the order of their first pods (rank 0) in ``pods``.

    A pod of another rank goes to the first pod that it shared most time with, or else was nearest to, and that has none of
    its rank yet. Where there is none, its attempt never had a first pod, and comes where it began.
    """
    attempts = [[pod] for pod in pods if pod.rank == 0]
    leaders = [attempt[0] for attempt in attempts]
    others = [pod for pod in pods if pod.rank]
    pairs = [(_apart_s(pod, leader), -number, pod) for pod in others for number, leader in enumerate(leaders)]
    placed: set[str] = set()
    for _, number, pod in sorted(pairs, key=lambda pair: pair[:2]):
        attempt = attempts[-number]
        if pod.name not in placed and all(pod.rank != other.rank for other in attempt):
            attempt.append(pod)
            placed.add(pod.name)
    for pod in (pod for pod in others if pod.name not in placed):
        later = (i for i, other in enumerate(attempts) if _start(other[0]) > _start(pod))
        attempts.insert(next(later, len(attempts)), [pod])
    return [sorted(attempt, key=lambda pod: pod.rank) for attempt in attempts]


def _apart_s(pod: PodLife, other: PodLife) -> float:
    """Seconds between two lives; below zero by what they share."""
    begin, end = max(_start(pod), _start(other)), min(_end(pod), _end(other))
    return (begin - end).total_seconds()


def _start(pod: PodLife) -> datetime:
    return _FOREVER if pod.began is None else pod.began.replace(tzinfo=None)


def _end(pod: PodLife) -> datetime:
    return _FOREVER if pod.ended is None else pod.ended.replace(tzinfo=None)
