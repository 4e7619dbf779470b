"""What a plan wants done to the cluster. Each may be done again, or twice at once, without harm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from serin.core.task import Stage

JobKind = Literal["Job", "JobSet"]
SUSPENDED = "serin.dev/suspended"
"""Annotation of a Workload that Serin deactivated, and so may activate again: one that a person stopped stays so."""


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Create a Job or JobSet. Where one of its name is there and has the same owner, that is success."""

    stage: Stage
    body: Mapping[str, Any]

    @property
    def kind(self) -> JobKind:
        """Which of the two."""
        kind: JobKind = self.body["kind"]
        return kind

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.body["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class SuspendJob:
    """Set ``spec.suspend``, where no queue owns it."""

    stage: Stage
    kind: JobKind
    name: str
    suspend: bool

    @property
    def patch(self) -> dict[str, Any]:
        """As a merge patch."""
        return {"spec": {"suspend": self.suspend}}


@dataclass(frozen=True, slots=True)
class ActivateWorkload:
    """Set ``spec.active`` of a Kueue Workload: false evicts it and keeps it from the queue."""

    stage: Stage
    name: str
    active: bool

    @property
    def patch(self) -> dict[str, Any]:
        """As a merge patch; it leaves a mark that it was Serin that stopped it."""
        mark = None if self.active else "true"
        return {"metadata": {"annotations": {SUSPENDED: mark}}, "spec": {"active": self.active}}


@dataclass(frozen=True, slots=True)
class ConfirmGone:
    """Ask the API server for this Job, and storage for the stage's result, and plan again with the answer.

    Where both say no, the stage belongs into ``Observed.gone``: its Job was deleted by hand. A cache alone may lag, and a
    Job that finished and was removed by its TTL has left a result.
    """

    stage: Stage
    kind: JobKind
    name: str


Action = CreateJob | SuspendJob | ActivateWorkload | ConfirmGone
