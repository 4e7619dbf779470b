"""Section ``rollout``: how traffic moves, and on what evidence."""

from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, model_validator

from serin.core.params.section import Section

Metric = Literal["error", "ttft", "tpot", "feedback"]


class MetricParams(Section):
    """One outcome of the rollout's comparison, 1 = bad."""

    delta: float = Field(ge=0, lt=1)
    """The canary may be this much worse, as a difference of rates, and still be promoted; 0: it has to be better."""


class StepParams(Section):
    """One step of a rollout's schedule; in params.yaml a number alone is its weight."""

    weight: float = Field(gt=0, le=1)
    """The canary's share of units."""
    hold_s: float | None = Field(default=None, ge=0)
    """Shortest time at this weight; null: rollout.hold_s."""

    @model_validator(mode="before")
    @classmethod
    def _reads_a_number_as_its_weight(cls, given: Any) -> Any:
        return {"weight": given} if isinstance(given, int | float) and not isinstance(given, bool) else given


class RolloutParams(Section):
    """``serin rollout``: how traffic moves from stable to canary, and on what evidence."""

    steps: list[StepParams] = Field(
        default=[StepParams(weight=0.05), StepParams(weight=0.25), StepParams(weight=0.5), StepParams(weight=1.0)],
        min_length=2,
    )
    """The schedule: weights rise, and the last one is 1, which is the promotion."""
    min_units: int = Field(default=100, ge=1)
    """Canary units with closed outcomes that a step needs before the next one."""
    hold_s: float = Field(default=600.0, ge=0)
    """Shortest time at each step that does not say its own."""
    min_time_s: float = Field(default=0.0, ge=0)
    """No promotion on evidence earlier than this, pauses not counted; 86400 lets every hour of a day have its say."""
    warmup_s: float = Field(default=60.0, ge=0)
    """Outcomes of units assigned this early in the rollout are not counted, for both arms."""
    horizon_s: float = Field(default=600.0, gt=0)
    """How long after its assignment a unit's outcome stays open for feedback."""
    max_time_s: float = Field(default=259_200.0, gt=0)
    """Undecided by then, pauses not counted, ends as ``undecided`` says."""
    undecided: Literal["back", "promote"] = "back"
    """Where nothing is proven in time: back to stable, or promote a canary that had ``min_units`` and was not proven worse."""
    alpha_abort: float = Field(default=0.01, gt=0, lt=0.5)
    """Chance of aborting a canary that is no worse than delta allows, all metrics together."""
    alpha_promote: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance of promoting a canary that is worse by delta or more in some metric."""
    metrics: dict[Metric, MetricParams] = Field(
        default={"error": MetricParams(delta=0.01), "feedback": MetricParams(delta=0.02)}, min_length=1
    )
    """What is compared: failed requests, slow first tokens, slow tokens after the first, bad feedback."""
    ttft_quantile: float = Field(default=0.9, gt=0, lt=1)
    """Stable's quantile of time to first token, measured before outcomes count, is the threshold of "slow"."""
    ttft_tolerance: float = Field(default=0.1, ge=0)
    """The canary counts as slow above (1 + this) times the threshold."""
    tpot_quantile: float = Field(default=0.9, gt=0, lt=1)
    """The same for the time per output token after the first."""
    tpot_tolerance: float = Field(default=0.1, ge=0)
    """The same for the time per output token: slow is above (1 + this) times its threshold."""
    feedback_bad_below: float = Field(default=0.5, gt=0, le=1)
    """A feedback score below this is bad."""

    @property
    def weights(self) -> list[float]:
        """The canary's share at each step."""
        return [step.weight for step in self.steps]

    def hold_at_s(self, step: int) -> float:
        """Shortest time at a step, by its index."""
        own = self.steps[step].hold_s
        return self.hold_s if own is None else own

    @model_validator(mode="after")
    def _steps_rise_to_one(self) -> "RolloutParams":
        weights = self.weights
        if any(low >= high for low, high in pairwise(weights)) or weights[-1] != 1.0:
            raise ValueError("the weights of steps must rise, to exactly 1")
        return self
