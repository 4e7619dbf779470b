"""What storage said of each run, as values: a reconcile takes what is known and never waits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from serin.clients.kubernetes import Kind
from serin.controller.loop.inputs import Wanted
from serin.controller.observed import Fault
from serin.core.params import StorageParams
from serin.core.task import Result, Stage

NO_JOB = "no Job"
"""The occasion of looking for a result before a stage gets its Job."""
Sort = Literal["check", "result", "gone", "progress"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A FineTune as far as storage is concerned."""

    name: str
    uid: str
    storage: StorageParams = field(compare=False, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """Something that storage is to be asked. A thousand may wait, so each holds no more than the question."""

    sort: Sort
    subject: Subject
    stage: Stage | None = None
    occasion: str = ""
    kind: Kind | None = None
    job: str = ""
    wanted: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known."""

    faults: tuple[Fault, ...] | None = None
    """Of the inputs; None: not known yet."""
    results: Mapping[Stage, Result] = field(default_factory=dict)
    absent: Mapping[Stage, str] = field(default_factory=dict)
    """Stages without a result, each with the occasion on which that was found."""
    gone: frozenset[Stage] = frozenset()
    progress: Mapping[str, Any] | None = None
    progress_of: Stage | None = None
    has_answered: bool = False
    """Whether it has answered anything: before that nobody knows whether it would."""
    unanswered: Mapping[Sort, str] = field(default_factory=dict)
    """By what was asked: why there is no answer."""

    @property
    def silence(self) -> str | None:
        """Why there is no answer; empty where it answers, and None where that is not known yet."""
        if self.unanswered:
            return "; ".join(dict.fromkeys(self.unanswered.values()))
        return "" if self.has_answered else None

    def answered(self, sort: Sort) -> "Facts":
        """With an answer to this sort of question, whatever it was."""
        return replace(self, has_answered=True, unanswered=self._without(sort))

    def silent(self, sort: Sort, why: str) -> "Facts":
        """Without an answer to this sort of question, for so long that people should know."""
        return replace(self, unanswered={**self._without(sort), sort: why})

    def with_result(self, stage: Stage, result: Result) -> "Facts":
        """The stage is done."""
        return replace(self, results={**self.results, stage: result})

    def without_result(self, stage: Stage, occasion: str) -> "Facts":
        """The stage was not done on this occasion."""
        return replace(self, absent={**self.absent, stage: occasion})

    def with_job(self, stage: Stage) -> "Facts":
        """The stage has a Job, so what was found without one no longer holds."""
        if stage not in self.gone and self.absent.get(stage) != NO_JOB:
            return self
        absent = {each: on for each, on in self.absent.items() if (each, on) != (stage, NO_JOB)}
        return replace(self, gone=self.gone - {stage}, absent=absent)

    def _without(self, sort: Sort) -> dict[Sort, str]:
        return {each: why for each, why in self.unanswered.items() if each != sort}
