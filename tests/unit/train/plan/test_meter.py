import pytest
import torch

from serin.train.plan.meter import MAPPED_BYTES, MemoryMeter


def test_a_peak_is_the_most_that_was_alive_at_once() -> None:
    with MemoryMeter(7, is_cuda=False) as meter:
        first = torch.zeros(1000)
        second = first + 1
        del first
        third = second + 1
        del second, third
    assert sum(meter.peak.values()) == 2 * 4000
    assert sum(meter.live.values()) == 0


def test_views_count_once_and_logits_apart() -> None:
    with MemoryMeter(7, is_cuda=False) as meter:
        hidden = torch.zeros(10, 5)
        halves = hidden.view(5, 10), hidden[:5]
        logits = torch.zeros(10, 7)
        assert meter.live["activations"] == 200
        assert meter.live["logits"] == 280
    del halves, logits


def test_what_becomes_a_gradient_is_no_activation_any_more() -> None:
    weight = torch.nn.Parameter(torch.zeros(100))
    meter = MemoryMeter(7, is_cuda=False)
    with meter:
        meter.count([weight], "adapter")
        (handle,) = meter.watch_gradients([weight])
        (weight * 2).sum().backward()
        assert meter.live["adapter"] == meter.live["gradients"] == 400
    handle.remove()


def test_large_tensors_are_counted_beside_the_heap() -> None:
    with MemoryMeter(7, is_cuda=False) as meter:
        large = torch.empty(MAPPED_BYTES, dtype=torch.uint8)
        del large
        small = torch.empty(MAPPED_BYTES - 1, dtype=torch.uint8)
        del small
    assert (meter.heap_peak_bytes, meter.mapped_peak_bytes) == (MAPPED_BYTES - 1, MAPPED_BYTES)


@pytest.mark.parametrize(("is_cuda", "size"), [(True, 512), (False, 4)])
def test_a_gpus_allocator_rounds_up(is_cuda: bool, size: int) -> None:
    with MemoryMeter(7, is_cuda) as meter:
        one = torch.zeros(1)
        assert meter.live["activations"] == size
    del one
