"""``ModelRollout``: traffic moves from one revision to another on evidence, or back."""

from typing import Literal, Self

from pydantic import Field, model_validator

from serin.core.params import Metric, RolloutParams
from serin.core.params.cluster import CamelSection, ObjectName
from serin.core.resources.bounds import faults_of_size
from serin.core.resources.condition import Condition
from serin.core.resources.finetune import ClusterStorageParams

REVISION = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?@[0-9a-f]{64}$"
"""A revision with its whole digest: an object that outlives models must not be ambiguous later."""


class RolloutRun(CamelSection):
    """Between which revisions, and on what evidence. It never changes: another rollout is another object."""

    stable: str = Field(pattern=REVISION, max_length=105)
    """The revision that serves now, ``name@digest``; the rollout is refused where it is another one by then."""
    canary: str = Field(pattern=REVISION, max_length=105)
    """The revision that is to take over, ``name@digest``."""
    rayservice: ObjectName = Field(default="serin-serve", max_length=47)
    """Whose gateways split the traffic: ``serve.rayservice`` of params.yaml."""
    storage: ClusterStorageParams
    """Where the gateways' evidence lies, and the rollout keeps its steps: ``storage`` of params.yaml."""
    params: RolloutParams = RolloutParams()
    """Section ``rollout`` of params.yaml, with the same fields, rules and defaults."""

    @model_validator(mode="after")
    def _moves_between_two(self) -> Self:
        if self.stable == self.canary:
            raise ValueError("canary must be another revision than stable")
        return self

    @model_validator(mode="after")
    def _fits_into_an_object(self) -> Self:
        if faults := faults_of_size(self.params.model_dump(mode="json")):
            raise ValueError("; ".join(faults))
        return self


class ModelRolloutSpec(CamelSection):
    """What a user asks for."""

    paused: bool = False
    """Hold the present weight; evidence is counted on, and worse is still aborted. False again goes on."""
    action: Literal["promote", "abort"] | None = None
    """A person's decision, whatever the evidence says; one that was carried out is not taken back."""
    reason: str | None = Field(default=None, min_length=1, max_length=1024)
    """Why; the status keeps it. An action needs one."""
    run: RolloutRun

    @model_validator(mode="after")
    def _gives_a_reason_for_an_action(self) -> Self:
        if self.action is not None and self.reason is None:
            raise ValueError("action needs a reason: say why, the rollout's history keeps it")
        return self


RolloutPhase = Literal["Pending", "WarmingUp", "Running", "Paused", "Promoted", "Aborted"]


class Users(CamelSection):
    """Units that were counted, in each arm; every metric has the same ones."""

    stable: int = 0
    canary: int = 0


class MetricStatus(CamelSection):
    """The evidence of one metric: it decides once an e-value has reached its threshold."""

    name: Metric
    stable_bad: int = 0
    """Bad outcomes among the stable units."""
    canary_bad: int = 0
    e_abort: float = 1.0
    """Largest evidence so far that the canary is worse than delta allows."""
    abort_at: float | None = None
    e_promote: float = 1.0
    """Largest evidence so far that the canary is not worse by delta."""
    promote_at: float | None = None
    proven: bool = False
    """Whether it allows promotion."""


class ModelRolloutStatus(CamelSection):
    """What ``serin rollout status`` shows."""

    observed_generation: int = 0
    phase: RolloutPhase = "Pending"
    weight: float | None = Field(default=None, ge=0, le=1)
    """The canary's share of units now."""
    step: int | None = None
    """Counted from 1."""
    steps: int | None = None
    step_units: int | None = None
    """Canary units with closed outcomes at this step."""
    users: Users | None = None
    metrics: list[MetricStatus] = Field(default=[], max_length=4)
    unproven: list[str] = Field(default=[], max_length=4)
    """Metrics that do not yet allow promotion."""
    e_split: float | None = None
    """Evidence that units do not fall on the arms as the weights say."""
    ttft_threshold_s: float | None = None
    """What counts as a slow first token, frozen from stable's answers."""
    tpot_threshold_s: float | None = None
    """What counts as a slow token after it, likewise."""
    started: str | None = None
    """RFC 3339, UTC; so are the others."""
    counted_from: str | None = None
    """When the warm-up was over."""
    ended: str | None = None
    decided_by: Literal["Evidence", "Person", "Time"] | None = None
    reason: str | None = Field(default=None, max_length=1024)
    """Of the decision, or what the next step waits for."""
    conditions: list[Condition] = Field(default=[], max_length=16)
