from hypothesis import given
from hypothesis import strategies as st

from serin.core.params import TrainParams
from serin.train.data.order import Order, order_of, share_of


@given(st.integers(1, 60), st.integers(1, 16), st.integers(1, 4), st.integers(0, 99))
def test_every_epoch_sees_every_example_once(examples: int, batch_size: int, epochs: int, seed: int) -> None:
    order = Order(examples, batch_size, epochs * -(-examples // batch_size), seed)
    for epoch in range(epochs):
        steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
        assert sorted(row for step in steps for row in order.rows(step)) == list(range(examples))


def test_epochs_are_drawn_anew_and_seeds_differ() -> None:
    first, second = (Order(40, 40, 2, 1).rows(step) for step in (0, 1))
    assert first != second
    assert Order(40, 40, 1, 2).rows(0) != first


def test_a_step_sees_the_same_whoever_asks_and_when() -> None:
    order = Order(100, 8, 50, 7)
    late = order.rows(30)
    [order.rows(step) for step in range(30)]
    assert Order(100, 8, 50, 7).rows(30) == late


def test_steps_come_from_epochs_or_are_given() -> None:
    assert order_of(TrainParams(epochs=2.5, batch_size=8), 20).steps == 8  # 3 steps an epoch
    assert order_of(TrainParams(epochs=2.5, batch_size=8, max_steps=5), 20).steps == 5
    order = order_of(TrainParams(epochs=2, batch_size=8), 20)
    assert [order.ends_epoch(step) for step in range(7)] == [False, False, False, True, False, False, True]
    assert order.epoch_after(3) == 1


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40), st.integers(1, 5))
def test_processes_share_a_step_without_overlap(lengths: list[int], processes: int) -> None:
    shares = [share_of(range(len(lengths)), lengths, rank, processes) for rank in range(processes)]
    assert sorted(row for share in shares for row in share) == list(range(len(lengths)))
    assert all([lengths[row] for row in share] == sorted(lengths[row] for row in share) for share in shares)
