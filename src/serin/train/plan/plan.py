"""``serin train --plan``: what a run will take, said before any weight is read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers.utils import logging as transformers_logging

from serin.core.params import Params
from serin.lm.load import read_config
from serin.train.data.order import Order, order_of
from serin.train.model.counts import Counts
from serin.train.plan.devices import Device
from serin.train.plan.hours import Hours, Pace, hours_from_pace, hours_from_table, validations_of
from serin.train.plan.memory import Estimate, Estimator, Memory
from serin.train.plan.workload import Workload, workload_of


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will take on one device, in one process."""

    device: Device
    method: str
    parameters: Counts
    examples: int | None
    """None where nobody knows."""
    tokens: int | None
    """Of all steps."""
    steps: int | None
    """Optimizer steps, unless training stops early."""
    validations: int | None
    micro_batch_size: int
    micro_batch_tokens: int
    """Of the heaviest micro-batch."""
    memory: Memory
    fits: bool
    suggested_micro_batch_size: int | None
    """The most examples at once that fit, of ``batch_size`` and its halves; None where not even one does."""
    hours: Hours | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: bytes, seconds and numbers as they are."""
        return {
            "device": {
                "name": self.device.name,
                "memory_bytes": self.device.memory_bytes,
                "usable_bytes": self.device.usable_bytes,
            },
            "method": self.method,
            "parameters": {"trained": self.parameters.trained, "total": self.parameters.total},
            "examples": self.examples,
            "tokens": self.tokens,
            "steps": self.steps,
            "validations": self.validations,
            "micro_batch": {
                "examples": self.micro_batch_size,
                "tokens": self.micro_batch_tokens,
                "suggested_examples": self.suggested_micro_batch_size,
            },
            "memory_bytes": {
                **self.memory.parts,
                "loading": self.memory.loading_bytes,
                "total": self.memory.total_bytes,
            },
            "fits": self.fits,
            "hours": None
            if self.hours is None
            else {"low": self.hours.low, "high": self.hours.high, "how": self.hours.how},
            "notes": list(self.notes),
        }


def plan_run(params: Params, base: Path, dataset: Path, device: Device) -> Plan:
    """Plan the run that ``serin train`` would make.

    Args:
        params: all of them.
        base: a folder with at least ``config.json``.
        dataset: the folder that prepare wrote, or what is there of it: see ``workload_of``.
        device: what it is to run on.

    Raises:
        ConfigError: what training would refuse, as far as it can be seen without weights.
    """
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # it warns of tokens that a config names
    train = params.train
    work = workload_of(dataset, base, train)
    estimator = Estimator(read_config(base), train, device)
    size = min(train.micro_batch_size, train.batch_size)
    heaviest = work.heaviest(train, size)
    estimate = estimator.estimate(heaviest)
    order = order_of(train, len(work.tokens))
    steps = order.steps if work.is_known or train.max_steps else None
    tokens = tokens_of(order, work) if work.is_known else None
    validations = validations_of(train, order) if work.is_known and work.validation_tokens else None
    return Plan(
        device,
        train.method,
        estimator.counts,
        len(work.tokens) if work.is_known else None,
        tokens,
        steps,
        validations,
        size,
        sum(length for length, _ in heaviest),
        estimate.memory,
        fits(estimate.memory, device),
        suggest_micro_batch(estimator, work, device, {size: estimate}),
        hours_of(params, device, estimate, work, tokens, steps, validations or 0),
        work.notes,
    )


def calibrated(plan: Plan, params: Params, pace: Pace) -> Plan:
    """The plan with the time that measured steps tell."""
    if plan.tokens is None or plan.steps is None:
        return plan
    every = params.runs.checkpoints.every_steps
    checkpoints = (plan.steps - 1) // every if every else 0
    return replace(plan, hours=hours_from_pace(pace, plan.tokens, plan.steps, plan.validations or 0, checkpoints))


def tokens_of(order: Order, work: Workload) -> int:
    """Tokens of all steps: whole epochs, and the steps of one that is not."""
    epochs, rest = divmod(order.steps, order.steps_per_epoch)
    begun = range(order.steps - rest, order.steps)
    return epochs * sum(work.tokens) + sum(work.tokens[row] for step in begun for row in order.rows(step))


def fits(memory: Memory, device: Device) -> bool:
    """Whether the device has room for it."""
    return memory.total_bytes <= device.usable_bytes


def suggest_micro_batch(
    estimator: Estimator, work: Workload, device: Device, estimated: Mapping[int, Estimate]
) -> int | None:
    """The largest of ``batch_size`` and its halves that fits: a step then takes the fewest passes.

    ``estimated``: what is known by micro-batch size already.
    """
    size = estimator.params.batch_size
    while True:
        estimate = estimated.get(size) or estimator.estimate(work.heaviest(estimator.params, size))
        if fits(estimate.memory, device):
            return size
        if size == 1:
            return None
        size = (size + 1) // 2


def hours_of(
    params: Params,
    device: Device,
    estimate: Estimate,
    work: Workload,
    tokens: int | None,
    steps: int | None,
    validations: int,
) -> Hours | None:
    """From the table; None where that says nothing."""
    if tokens is None or steps is None or device.tflops is None:
        return None
    size = min(params.train.micro_batch_size, params.train.batch_size)
    micro_batches = steps * math.ceil(params.train.batch_size / size)
    return hours_from_table(device, estimate, tokens + validations * work.validation_tokens // 3, micro_batches)
