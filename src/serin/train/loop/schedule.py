"""When a run evaluates, saves and ends: pure functions of the step and the history."""

from collections.abc import Sequence

from serin.core.params import CheckpointParams, ValidationParams
from serin.train.data.order import Order
from serin.train.history import ValidationRecord


def validation_is_due(params: ValidationParams, order: Order, step: int, done: Sequence[ValidationRecord]) -> bool:
    """Whether the state after ``step`` steps is to be evaluated, and has not been yet."""
    if step == 0 or any(v.step == step for v in done[-1:]):
        return False
    if step == order.steps:
        return True
    return order.ends_epoch(step) if params.every_steps is None else step % params.every_steps == 0


def checkpoint_is_due(params: CheckpointParams, step: int, saved_step: int | None) -> bool:
    """Whether the state after ``step`` steps is to be saved, and has not been yet."""
    return bool(params.every_steps and step and step % params.every_steps == 0 and saved_step != step)


def stops_early(params: ValidationParams, done: Sequence[ValidationRecord]) -> bool:
    """Whether the last ``patience`` evaluations were all not better, by ``min_delta``, than the best before them."""
    if params.patience is None:
        return False
    best, since = float("inf"), 0
    for record in done:
        if record.loss < best - params.min_delta:
            best, since = record.loss, 0
        else:
            since += 1
    return since >= params.patience
