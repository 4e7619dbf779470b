"""How long a run will take, as a range: from a stated share of a GPU's arithmetic, or from steps that were measured."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from serin.core.params import TrainParams
from serin.train.data.order import Order
from serin.train.loop.schedule import validation_is_due
from serin.train.plan.devices import Device
from serin.train.plan.memory import Estimate

UTILISATION = (0.10, 0.45)
"""Share of a GPU's dense bfloat16 products that training reaches, recomputation counted in. torchtune's README has, for
Llama 3.2 3B on an A100: 0.13 with short rows that are padded, 0.44 with packed ones, 0.5 once compiled; short answers in small
micro-batches, of NF4 weights, reach less."""
OPERATION_S = (3e-6, 15e-6)
"""What PyTorch needs to dispatch an operation with its gradient, in eager mode. Small models and short micro-batches wait for
that, and not for arithmetic."""
_RESAMPLES = 2000
_WARM_UP_STEPS = 3


@dataclass(frozen=True, slots=True)
class Hours:
    """The whole run, without what is imported and downloaded before it."""

    low: float
    high: float
    how: str
    """What the range follows from."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What steps of a real run took."""

    start_up_s: float
    """From the start of the stage to the first step."""
    seconds: tuple[float, ...]
    """Of each step."""
    tokens: tuple[int, ...]
    """Of each step."""
    validation_s: float
    """Of one evaluation, 0 without a validation split."""
    checkpoint_s: float
    """Of one checkpoint, as far as the loop waits for it."""


def validations_of(params: TrainParams, order: Order) -> int:
    """How many evaluations a run makes that does not stop early."""
    return sum(validation_is_due(params.validation, order, step, []) for step in range(order.steps + 1))


def hours_from_table(device: Device, estimate: Estimate, tokens: int, micro_batches: int) -> Hours:
    """From arithmetic or from dispatching, whichever takes longer; loading is left out.

    Args:
        device: with its ``tflops``.
        estimate: of one micro-batch.
        tokens: of all steps; those of evaluations, which have a forward pass alone, count a third.
        micro_batches: of all steps.
    """
    assert device.tflops is not None
    flops, operations = estimate.flops_per_token * tokens, estimate.operations * micro_batches
    low, high = (
        max(flops / (share * device.tflops * 1e12), operations * operation_s) / 3600
        for share, operation_s in zip(reversed(UTILISATION), OPERATION_S, strict=True)
    )
    shares = " to ".join(f"{share:.0%}" for share in UTILISATION)
    return Hours(low, high, f"{shares} of the {device.tflops:,.0f} TFLOP/s of {device.name}; loading left out")


def hours_from_pace(pace: Pace, tokens: int, steps: int, validations: int, checkpoints: int) -> Hours:
    """From measured steps, the first few left out: seconds grow with tokens; the interval is a bootstrap of the steps.

    Args:
        pace: what was measured.
        tokens: of all steps of the run.
        steps: of the run.
        validations: evaluations of the run.
        checkpoints: of the run.
    """
    warm = min(_WARM_UP_STEPS, len(pace.seconds) // 2)
    measured = list(zip(pace.seconds[warm:], pace.tokens[warm:], strict=True))
    rates = _bootstrap(measured)
    first_s = sum(pace.seconds[:warm])
    left = tokens - sum(pace.tokens[:warm])
    beside_s = pace.start_up_s + first_s + validations * pace.validation_s + checkpoints * pace.checkpoint_s
    low, high = ((beside_s + rate * left) / 3600 for rate in rates)
    return Hours(low, high, f"{len(pace.seconds)} steps measured here, of {steps:,}")


def _bootstrap(measured: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """95 % interval of seconds a token."""
    draw = random.Random(0)
    rates = []
    for _ in range(_RESAMPLES):
        chosen = draw.choices(measured, k=len(measured))
        rates.append(sum(s for s, _ in chosen) / sum(t for _, t in chosen))
    rates.sort()
    return rates[_RESAMPLES // 40], rates[-(_RESAMPLES // 40) - 1]
