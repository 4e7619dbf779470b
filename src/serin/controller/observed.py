"""What the controller saw of one FineTune: the other half of a plan's input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serin.core.task import Result, Stage

Manifest = Mapping[str, Any]
"""A Kubernetes object as the API server's JSON has it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that the check of a run's inputs found, before a GPU was taken."""

    reason: str
    """For machines, in CamelCase: ``DatasetMissing``, ``BaseMissing``, ``QueueMissing``, ``StorageForbidden`` ..."""
    message: str
    """For people: what was found, what was expected and what to do."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The cluster and storage, as far as they concern one FineTune. Nothing in it has to be complete or up to date."""

    jobs: Mapping[Stage, Manifest] = field(default_factory=dict)
    """The Job or JobSet of each stage: the object of that very name, whoever owns it. A JobSet's own Jobs are no entries."""
    children: Mapping[Stage, Sequence[Manifest]] = field(default_factory=dict)
    """The Jobs that a JobSet made."""
    pods: Mapping[Stage, Sequence[Manifest]] = field(default_factory=dict)
    """By their label ``serin.dev/stage``."""
    workloads: Mapping[Stage, Manifest] = field(default_factory=dict)
    """Kueue's Workload of the stage's Job or JobSet, by its owner reference."""
    results: Mapping[Stage, Result] = field(default_factory=dict)
    """What lies in storage."""
    progress: Mapping[str, Any] | None = None
    """``progress.json`` of the stage that runs."""
    faults: Sequence[Fault] | None = None
    """What the check of the inputs found: nothing where it is empty; None while it is not known."""
    unanswered: str | None = None
    """Why storage, or another thing that is asked before a GPU is taken, does not answer; empty where it does; None where it has
    not been asked yet, so that what was said of it before still stands."""
    gone: frozenset[Stage] = frozenset()
    """Stages whose Job the API server was asked for directly and does not have, and storage no result of: what ``ConfirmGone``
    asks for. A cache that lags cannot say so."""
    refused: Mapping[Stage, Fault] = field(default_factory=dict)
    """Stages whose Job the API server does not take: a quota is used up, an admission webhook says no, JobSet is not installed.
    Whoever gets in the way may be moved, so it is tried again."""
