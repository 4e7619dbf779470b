from serin.core.params import CheckpointParams, ValidationParams
from serin.train.data.order import Order
from serin.train.history import ValidationRecord
from serin.train.loop.schedule import checkpoint_is_due, stops_early, validation_is_due

ORDER = Order(examples=24, batch_size=8, steps=8, seed=0)  # 3 steps an epoch


def evaluated(*losses: float) -> list[ValidationRecord]:
    return [ValidationRecord(step + 1, 0.0, loss, 10) for step, loss in enumerate(losses)]


def due(params: ValidationParams, done: list[ValidationRecord] | None = None) -> list[int]:
    return [step for step in range(9) if validation_is_due(params, ORDER, step, done or [])]


def test_evaluations_fall_on_the_ends_of_epochs_or_every_so_often_and_on_the_end() -> None:
    assert due(ValidationParams()) == [3, 6, 8]
    assert due(ValidationParams(every_steps=4)) == [4, 8]
    assert due(ValidationParams(every_steps=5)) == [5, 8]


def test_what_was_evaluated_is_not_evaluated_again() -> None:
    assert due(ValidationParams(every_steps=1), evaluated(1, 1, 1)) == [1, 2, 4, 5, 6, 7, 8]


def test_checkpoints_are_due_once() -> None:
    params = CheckpointParams(every_steps=2)
    assert [s for s in range(7) if checkpoint_is_due(params, s, None)] == [2, 4, 6]
    assert not checkpoint_is_due(params, 4, 4)
    assert not checkpoint_is_due(CheckpointParams(every_steps=None), 4, None)


def test_patience_counts_evaluations_that_were_not_better() -> None:
    assert not stops_early(ValidationParams(), evaluated(1, 2, 3, 4))
    patient = ValidationParams(patience=2)
    assert not stops_early(patient, evaluated(3, 2, 2.5))
    assert stops_early(patient, evaluated(3, 2, 2.5, 2.0))
    assert not stops_early(patient, evaluated(3, 2, 2.5, 1.9))


def test_a_gain_below_min_delta_is_none() -> None:
    assert stops_early(ValidationParams(patience=2, min_delta=0.1), evaluated(2.0, 1.95, 1.91))
