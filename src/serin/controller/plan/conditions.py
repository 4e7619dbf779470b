"""Conditions as Kubernetes' API conventions have them: changed only where something changed, and events about the changes.

| condition          | true                                         | false                                           |
|--------------------|----------------------------------------------|-------------------------------------------------|
| Accepted           | the inputs are there                         | they are not; unknown while they are looked for |
| Admitted           | Kueue reserved the quota (with a queue only) | it waits, and for what                          |
| Running            | a pod computes                               | none does, and why not                          |
| Preempted          | the cluster took its place; it will go on    | it went on, or is over                          |
| StorageUnreachable | storage does not answer, and since when      | it answers again; not there: it never failed to |
| GatePassed         | the evaluation's verdict is yes              | it is no                                        |
| Succeeded          | all stages are done                          | it failed                                       |
| Failed             | it is over, and why                          | (never)                                         |
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

from serin.clients.kubernetes.events import Event
from serin.controller.reasons.cause import shortened
from serin.controller.times import written
from serin.core.resources.condition import Condition

Type = Literal[
    "Accepted", "Admitted", "Running", "Preempted", "StorageUnreachable", "GatePassed", "Succeeded", "Failed"
]
TYPES: tuple[Type, ...] = get_args(Type)
Status = Literal["True", "False", "Unknown"]
_ORDERLY = {"Stopping", "Suspended", "Queued"}
"""Reasons for not running that are in the order of things."""
_PASSING = {"Checking", "Creating", "Starting", "NoAnswer", "ResultPending", "Done", "Failed"}
"""The same, which nobody has to be told: they pass at once, or another condition says them."""


class Conditions:
    """A FineTune's conditions while a plan is made; each keeps the time at which its status changed last."""

    def __init__(self, before: Sequence[Condition], generation: int, now: datetime) -> None:
        self._before = {condition.type: condition for condition in before}
        self._now = dict(self._before)
        self._generation = generation
        self._time = written(now)

    def set(self, type_: Type, status: Status, reason: str, message: str) -> None:
        """Say how it is."""
        old = self._before.get(type_)
        self._now[type_] = Condition(
            type=type_,
            status=status,
            reason=reason,
            message=shortened(message),
            last_transition_time=old.last_transition_time if old and old.status == status else self._time,
            observed_generation=self._generation,
        )

    def get(self, type_: Type) -> Condition | None:
        """How it is now; None where nothing has been said."""
        return self._now.get(type_)

    def is_true(self, type_: Type) -> bool:
        """Whether it has been said to be so."""
        found = self._now.get(type_)
        return found is not None and found.status == "True"

    def tell_storage(self, silence: str | None) -> None:
        """Say whether storage answers: why not, empty where it does, None where that is not known."""
        if silence:
            self.set("StorageUnreachable", "True", "NoAnswer", silence)
        elif silence is not None and self.is_true("StorageUnreachable"):
            self.set("StorageUnreachable", "False", "Answers", "storage answers again")

    def leave_storage(self) -> None:
        """It is asked nothing any more."""
        if self.is_true("StorageUnreachable"):
            self.set("StorageUnreachable", "False", "Over", "it is asked nothing any more")

    def listed(self) -> list[Condition]:
        """In a fixed order, each seen at this generation: what a plan does not touch still holds."""
        return [
            self._now[type_].model_copy(update={"observed_generation": self._generation})
            for type_ in TYPES
            if type_ in self._now
        ]

    def events(self) -> list[Event]:
        """What changed in status or reason, as far as it is news."""
        found = []
        for type_ in TYPES:
            new, old = self._now.get(type_), self._before.get(type_)
            if new is None or (old and (old.status, old.reason) == (new.status, new.reason)) or _is_no_news(new):
                continue
            bad = {
                "Accepted": new.status == "False",
                "Running": new.status == "False" and new.reason not in _ORDERLY,
                "Preempted": new.status == "True",
                "StorageUnreachable": new.status == "True",
                "GatePassed": new.status == "False",
                "Failed": new.status == "True",
            }.get(type_, False)
            found.append(Event("Warning" if bad else "Normal", new.reason, new.message))
        return found


def _is_no_news(condition: Condition) -> bool:
    if condition.type == "Accepted":
        return (
            condition.status != "False"
        )  # that it goes on is told by what comes next, and that storage is silent by its own
    if condition.type == "StorageUnreachable":
        return condition.status == "False" and condition.reason != "Answers"
    if condition.type == "Running":
        return condition.status == "False" and condition.reason in _PASSING
    if condition.type == "Preempted":
        return condition.status == "False" and condition.reason != "Resumed"
    return condition.type == "Succeeded" and condition.status == "False"
