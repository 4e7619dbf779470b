"""The steps of a rollout, as ``steplog`` keeps them, and all rollouts of one place."""

from typing import Literal

from pydantic import ConfigDict, Field

from serin.clients.storage import Storage
from serin.rollout.evidence import Closed
from serin.rollout.state import RolloutState
from serin.rollout.steplog import NumberedStep, StepLog, StepLogs

PREFIX = "rollouts/"
"""Where storage holds the rollouts of clusters."""
Action = Literal["create", "start", "count", "advance", "promote", "abort", "pause", "resume"]


class Step(NumberedStep):
    """One step of a rollout."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    t: float
    """When, in Unix seconds."""
    action: Action
    """``create``: it is declared, and has no traffic yet. ``count``: units were counted, and nothing else."""
    reason: str = ""
    person: str = ""
    """Who did it by hand; empty where the evidence or time did."""
    positions: dict[str, int] = Field(default_factory=dict)
    """Where a process that starts anew reads each source of evidence."""
    state: RolloutState
    """What holds after it."""


class RolloutStore(StepLog[Step, Closed]):
    """The steps of one rollout."""

    def __init__(self, storage: Storage, rollout: str, prefix: str = "") -> None:
        super().__init__(storage, rollout, prefix, Step, Closed, "rollout")

    def read(self) -> RolloutState:
        """The state. Raises InputError where there is none, or it is damaged."""
        return self.last().state


class Rollouts(StepLogs[RolloutStore]):
    """All rollouts of one place."""

    noun = "rollout"
    listed_by = "'serin rollout history' lists them"

    def of(self, name: str) -> RolloutStore:
        """The steps of one."""
        return RolloutStore(self.storage, name, self.prefix)
