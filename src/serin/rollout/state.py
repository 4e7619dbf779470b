"""A rollout as a value: what was declared, what was counted, and what follows from it. Pure; times are Unix seconds."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from serin.core.params import RolloutParams
from serin.rollout.eprocess import MetricEvidence, SplitEvidence, threshold

BATCH_S = 1.0
"""Length of a batch, by assignment time; guesses are frozen within one."""

Decided = Literal["running", "promoted", "aborted"]
DecidedBy = Literal["evidence", "split", "time", "person"]


class RolloutState(BaseModel):
    """Everything that a rollout is."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: str
    stable: str
    canary: str
    salt: str
    params: RolloutParams
    started_t: float
    step: int = 0
    """Index into ``params.steps``."""
    step_started_t: float
    step_units: int = 0
    """Canary units with closed outcomes that were assigned at this step's weight."""
    counted_from: float | None = None
    """Units assigned earlier are warm-up, for both arms; None until the warm-up is over."""
    ttft_threshold_s: float | None = None
    """Frozen from stable's answers before ``counted_from``."""
    tpot_threshold_s: float | None = None
    """Likewise, of the time per output token."""
    batches: int = 0
    """Batches folded in; an observation of an earlier batch has been counted already."""
    metrics: dict[str, MetricEvidence]
    split: SplitEvidence = SplitEvidence()
    paused_t: float | None = None
    """When the present pause began; None where there is none."""
    paused_s: float = 0.0
    """Length of the pauses that are over."""
    paused_by: str = ""
    paused_because: str = ""
    full_replicas: int = 0
    """Most ready replicas that stable has been seen with; 0 where nobody told."""
    decision: Decided = "running"
    reason: str = ""
    decided_by: DecidedBy | None = None
    person: str = ""
    """Who decided by hand."""
    ended_t: float | None = None

    @property
    def weight(self) -> float:
        """The canary's share of units now."""
        if self.decision == "running":
            return self.params.weights[self.step]
        return 1.0 if self.decision == "promoted" else 0.0

    @property
    def manual(self) -> bool:
        """Whether a person decided, and not the evidence."""
        return self.decided_by == "person"

    @property
    def paused(self) -> bool:
        """Whether a person holds the rollout where it is."""
        return self.paused_t is not None

    @property
    def pause_in_words(self) -> str:
        """Who holds it, and why."""
        by = f" by {self.paused_by}" if self.paused_by else ""
        return f"paused{by}: {self.paused_because}"

    def running_s(self, now: float) -> float:
        """Time since the start, without pauses."""
        present = 0.0 if self.paused_t is None else max(0.0, now - self.paused_t)
        return now - self.started_t - self.paused_s - present

    @property
    def units(self) -> dict[str, int]:
        """Counted units in each arm; every metric has the same ones."""
        evidence = next(iter(self.metrics.values()))
        return {"stable": evidence.stable_units, "canary": evidence.canary_units}

    @property
    def alpha_abort(self) -> float:
        """The abort level of one metric: the total, split evenly (union bound)."""
        return self.params.alpha_abort / len(self.metrics)

    def proven_worse(self) -> list[str]:
        """Metrics in which the canary is worse than its delta allows."""
        limit = math.log(threshold(self.alpha_abort))
        return [name for name, evidence in self.metrics.items() if evidence.peak_abort >= limit]

    def unproven(self) -> list[str]:
        """Metrics that do not yet allow promotion.

        Each is tested at the whole of ``alpha_promote``: all must reject, so a wrong promotion needs a wrong rejection
        in a metric that is truly worse (intersection-union test, Berger 1982).
        """
        limit = math.log(threshold(self.params.alpha_promote))
        return [name for name, evidence in self.metrics.items() if evidence.peak_promote < limit]


def new_rollout(rollout: str, stable: str, canary: str, salt: str, params: RolloutParams, now: float) -> RolloutState:
    """A rollout at its first step."""
    return RolloutState(
        id=rollout,
        stable=stable,
        canary=canary,
        salt=salt,
        params=params,
        started_t=now,
        step_started_t=now,
        metrics={name: MetricEvidence() for name in params.metrics},
    )
