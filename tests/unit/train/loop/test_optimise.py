import pytest
import torch

from serin.core.params import TrainParams
from serin.train.loop.optimise import Optimizer, learning_rate
from serin.train.model.build import Group


def weights(seed: int, *shapes: tuple[int, ...]) -> dict[str, torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return {f"w{i}": torch.nn.Parameter(torch.randn(shape, generator=generator)) for i, shape in enumerate(shapes)}


def with_gradients(named: dict[str, torch.nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in named.values():
        weight.grad = torch.randn(weight.shape, generator=generator)


def test_the_rate_rises_then_falls_to_its_floor() -> None:
    params = TrainParams(learning_rate=1e-2, warmup_ratio=0.1, min_rate_share=0.1)
    rates = [learning_rate(params, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(1e-2 / 11)
    assert rates[10] == pytest.approx(1e-2)
    assert rates == [*sorted(rates[:11]), *sorted(rates[11:], reverse=True)]
    assert rates[100] == pytest.approx(1e-3)


def test_linear_and_constant_rates() -> None:
    linear = TrainParams(learning_rate=1e-2, warmup_ratio=0, schedule="linear")
    assert learning_rate(linear, 50, 100) == pytest.approx(5e-3)
    constant = TrainParams(learning_rate=1e-2, warmup_ratio=0, schedule="constant", min_rate_share=0.5)
    assert learning_rate(constant, 99, 100) == 1e-2


def test_updates_are_those_of_adamw_with_each_groups_rate_and_decay() -> None:
    ours, theirs = weights(0, (4, 3), (5,)), weights(0, (4, 3), (5,))
    optimizer = Optimizer([Group({"w0": ours["w0"]}), Group({"w1": ours["w1"]}, rate_ratio=16, decays=False)], 0.1)
    reference = torch.optim.AdamW(
        [
            {"params": [theirs["w0"]], "lr": 1e-3, "weight_decay": 0.1},
            {"params": [theirs["w1"]], "lr": 16e-3, "weight_decay": 0.0},
        ]
    )
    for step in range(5):
        with_gradients(ours, step)
        with_gradients(theirs, step)
        optimizer.update(1e-3)
        reference.step()
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-5, atol=1e-7)
        assert weight.grad is None


def test_going_on_from_saved_moments_gives_the_same_bits() -> None:
    def trained(interrupted: bool) -> dict[str, torch.nn.Parameter]:
        named = weights(1, (6, 2))
        optimizer = Optimizer([Group(named)], 0.01)
        for step in range(6):
            if interrupted and step == 3:
                moments = {name: tensor.clone() for name, tensor in optimizer.moments().items()}
                optimizer = Optimizer([Group(named)], 0.01)
                optimizer.restore(moments, 3)
            with_gradients(named, step)
            optimizer.update(1e-3)
        return named

    assert torch.equal(trained(interrupted=False)["w0"], trained(interrupted=True)["w0"])


@pytest.mark.parametrize("kernel_call", [1, 2])
def test_an_update_that_runs_out_of_memory_is_finished_and_not_repeated(
    kernel_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(fails: bool) -> dict[str, torch.nn.Parameter]:
        named = weights(2, (3, 3), (4,))
        optimizer = Optimizer([Group({"w0": named["w0"]}), Group({"w1": named["w1"]}, rate_ratio=2)], 0.0)
        kernel, calls = torch._fused_adamw_, 0

        def failing(*args: object, **kwargs: object) -> None:
            nonlocal calls
            calls += 1
            if fails and calls == 2 + kernel_call:  # in the second update, before the first or the second group
                raise torch.OutOfMemoryError("injected")
            kernel(*args, **kwargs)

        monkeypatch.setattr(torch, "_fused_adamw_", failing)
        for step in range(4):
            with_gradients(named, step)
            try:
                optimizer.update(1e-2)
            except torch.OutOfMemoryError:
                optimizer.finish()
        monkeypatch.setattr(torch, "_fused_adamw_", kernel)
        return named

    calm, disturbed = trained(fails=False), trained(fails=True)
    assert all(torch.equal(calm[name], disturbed[name]) for name in calm)
