"""The gradient of a step on a real model: NF4 weights, a float32 adapter."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from serin.core.errors import ConfigError
from serin.core.params import TrainParams
from serin.lm.chat import IGNORED, Example
from serin.lm.load import load_tokenizer
from serin.lm.packing import Layout
from serin.train.loop.step import compute_gradient, halved, is_out_of_memory, precision_of, seed_step
from serin.train.model.build import TrainableModel, build

EXAMPLES = [
    Example(f"r{i}", tuple(range(5 + i, 5 + i + length)), (*[IGNORED] * 3, *range(8 + i, 5 + i + length)))
    for i, length in enumerate((4, 40, 9, 25, 5, 60, 12, 31))
]
TOKENS = sum(e.trained_tokens for e in EXAMPLES)


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> TrainableModel:
    params = TrainParams.model_validate({"lora": {"r": 4, "alpha": 8}})
    made = build(params, tiny_base, load_tokenizer(tiny_base), [])
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in made.trained.items():
            if "lora_B" in name:  # zero at the start, which would leave A without a gradient
                weight.normal_(std=0.05)
    return made


def gradient(
    model: TrainableModel,
    micro_batch_size: int = 8,
    examples: list[Example] = EXAMPLES,
    layout: Layout = "packed",
    before: Callable[..., None] = lambda _: None,
) -> tuple[float, dict[str, torch.Tensor]]:
    model.module.train()
    weights = list(model.trained.values())
    for weight in weights:
        weight.grad = None
    precision = precision_of(torch.float32, torch.device("cpu"))
    loss = compute_gradient(model.module, weights, examples, TOKENS, micro_batch_size, layout, precision, before)
    return loss, {name: weight.grad.clone() for name, weight in model.trained.items() if weight.grad is not None}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, expected in one.items():
        torch.testing.assert_close(other[name], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("micro_batch_size", [1, 2, 3, 5])
@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_the_gradient_does_not_depend_on_how_the_step_is_cut(
    model: TrainableModel, micro_batch_size: int, layout: Layout
) -> None:
    (loss, whole), (cut_loss, cut) = gradient(model), gradient(model, micro_batch_size, layout=layout)
    assert cut_loss == pytest.approx(loss, abs=1e-5)
    same(whole, cut)


def test_the_shares_of_two_processes_add_up_to_the_whole(model: TrainableModel) -> None:
    loss, whole = gradient(model)
    (loss_0, first), (loss_1, second) = (gradient(model, 2, EXAMPLES[rank::2]) for rank in (0, 1))
    assert loss_0 + loss_1 == pytest.approx(loss, abs=1e-5)
    same(whole, {name: first[name] + second[name] for name in whole})


def test_one_examples_tokens_are_nothing_to_another_on_the_way_that_trains(model: TrainableModel) -> None:
    """Every token of the first example changes; the gradient changes by what that example alone gives."""
    first, rest = EXAMPLES[5], EXAMPLES[:5]
    changed = Example(
        "changed", tuple(t + 100 for t in first.input_ids), tuple(t + 100 if t != IGNORED else t for t in first.labels)
    )
    _, alone = gradient(model, examples=[first])
    _, alone_changed = gradient(model, examples=[changed])
    _, together = gradient(model, examples=[first, *rest])
    _, together_changed = gradient(model, examples=[changed, *rest])
    same(
        {name: together[name] - alone[name] for name in together},
        {name: together_changed[name] - alone_changed[name] for name in together},
    )


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_an_interrupted_gradient_leaves_nothing_behind(model: TrainableModel, where: str) -> None:
    calls = 0

    def fails_in_the_second() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise torch.OutOfMemoryError("injected")

    if where == "forward":
        with pytest.raises(torch.OutOfMemoryError):
            gradient(model, 4, before=lambda _: fails_in_the_second())
    else:
        head = next(m for m in model.module.modules() if type(m).__name__ == "Qwen3MLP")
        hook = head.register_full_backward_hook(lambda *_: fails_in_the_second())
        with pytest.raises(torch.OutOfMemoryError):
            gradient(model, 4)
        hook.remove()
    assert all(weight.grad is None for weight in model.trained.values())


def test_a_loss_that_is_no_number_names_its_records(model: TrainableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from serin.train.loop import step

    real = step.target_nll
    monkeypatch.setattr(step, "target_nll", lambda m, b: real(m, b) * (float("nan") if 60 in b.lengths else 1.0))
    with pytest.raises(ConfigError, match=r"is nan; its records: r4, r5$"):
        gradient(model, 2)
    assert all(weight.grad is None for weight in model.trained.values())


def test_randomness_is_a_function_of_seed_step_and_process() -> None:
    def drawn(seed: int, step: int, rank: int) -> float:
        seed_step(seed, step, rank)
        return float(torch.rand(()))

    assert drawn(1, 5, 0) == drawn(1, 5, 0)
    assert len({drawn(seed, step, rank) for seed in (1, 2) for step in (0, 1, 2) for rank in (0, 1)}) == 12


def test_the_cpu_running_out_of_memory_is_known_for_what_it_is() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 48)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_micro_batches_are_halved_down_to_one() -> None:
    assert [halved(n) for n in (8, 5, 3, 2)] == [4, 3, 2, 1]
    with pytest.raises(ConfigError, match="does not hold the step of one example"):
        halved(1)


def test_small_updates_are_lost_in_bfloat16_and_not_in_what_is_trained_here(model: TrainableModel) -> None:
    """200 steps at a rate of 1e-5: Adam moves a weight by about the rate, which is below bfloat16's spacing at 0.05."""
    moved = {}
    for dtype in (torch.float32, torch.bfloat16):
        start = torch.full((64,), 0.05, dtype=dtype)
        weight = torch.nn.Parameter(start.clone())
        adam = torch.optim.AdamW([weight], lr=1e-5, weight_decay=0.0)
        for _ in range(200):
            weight.grad = torch.ones_like(weight)
            adam.step()
        moved[dtype] = float((start - weight.detach()).float().mean())
    assert moved[torch.float32] == pytest.approx(200 * 1e-5, rel=0.02)
    assert moved[torch.bfloat16] < 0.1 * moved[torch.float32]
    assert {weight.dtype for weight in model.trained.values()} == {torch.float32}
