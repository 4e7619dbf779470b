"""Sections about production: ``serve`` and ``rollout``."""

from typing import Literal

from pydantic import Field, model_validator

from serin.core.params.section import Section


class ServeParams(Section):
    """``serin serve``: the gateway and the vLLM revisions behind it."""

    host: str = "127.0.0.1"
    """Address that the gateway listens on."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port of the OpenAI-compatible gateway."""
    max_model_len: int = Field(default=512, ge=64)
    """Longest prompt + answer of a revision, in tokens."""
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """Number format in which vLLM computes."""
    kv_cache_gib: float = Field(default=1.0, gt=0)
    """KV cache of one revision on a CPU, GiB; on a GPU vLLM's own default holds."""
    start_timeout_s: float = Field(default=300.0, gt=0)
    """How long a revision may take to become ready."""
    request_timeout_s: float = Field(default=60.0, gt=0)
    """Longest request, from its first byte to the last byte of the answer."""
    canary_first_byte_timeout_s: float = Field(default=10.0, gt=0)
    """A canary that sent nothing by then has failed, and stable answers."""


class MetricParams(Section):
    """One outcome of the rollout's comparison, 1 = bad."""

    delta: float = Field(gt=0, lt=1)
    """The canary may be this much worse, as a difference of rates, and still be promoted."""


class RolloutParams(Section):
    """``serin rollout``: how traffic moves from stable to canary, and on what evidence."""

    steps: list[float] = Field(default=[0.05, 0.25, 0.5, 1.0], min_length=1)
    """The canary's share of units at each step; rising, the last one is 1."""
    min_units: int = Field(default=10, ge=1)
    """Canary units with closed outcomes that a step needs before the next one."""
    hold_s: float = Field(default=5.0, ge=0)
    """Shortest time at each step."""
    warmup_s: float = Field(default=2.0, ge=0)
    """Outcomes of units assigned this early in the rollout are not counted, for both arms."""
    horizon_s: float = Field(default=5.0, gt=0)
    """How long after its assignment a unit's outcome stays open for feedback."""
    max_time_s: float = Field(default=600.0, gt=0)
    """Undecided by then goes back to stable."""
    alpha_abort: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance of aborting a canary that is no worse than delta allows, all metrics together."""
    alpha_promote: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance of promoting a canary that is worse by delta or more in some metric."""
    metrics: dict[Literal["error", "ttft", "feedback"], MetricParams] = Field(
        default={"error": MetricParams(delta=0.05), "feedback": MetricParams(delta=0.1)}, min_length=1
    )
    """What is compared: failed requests, slow first tokens, bad feedback."""
    ttft_quantile: float = Field(default=0.95, gt=0, lt=1)
    """Stable's quantile of time to first token, measured before the rollout, is the threshold of "slow"."""
    ttft_tolerance: float = Field(default=0.5, ge=0)
    """The canary counts as slow above (1 + this) times the threshold."""
    feedback_bad_below: float = Field(default=0.5, gt=0, le=1)
    """A feedback score below this is bad."""

    @model_validator(mode="after")
    def _steps_rise_to_one(self) -> "RolloutParams":
        rising = all(low < high for low, high in zip(self.steps, self.steps[1:], strict=False))
        if not rising or self.steps[0] <= 0 or self.steps[-1] != 1.0:
            raise ValueError("steps must rise, from above 0 to exactly 1")
        return self
