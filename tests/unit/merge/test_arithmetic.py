from collections.abc import Callable, Iterator

import pytest
import torch

from serin.core.errors import ConfigError, InputError
from serin.merge import arithmetic
from serin.merge.arithmetic import LowRank, Rows, Update, Whole, round_block, rows_in_a_block, shape_after
from serin.merge.threads import one_thread
from serin.merge.weights import Held


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """As the stage computes: with more threads the last bit of a product depends on how many."""
    with one_thread():
        yield


def low_rank(
    shape: tuple[int, int] = (5, 3), rank: int = 2, scale: float = 2.0, transposed: bool = False, dora: bool = False
) -> LowRank:
    torch.manual_seed(0)
    outputs, inputs = shape
    magnitude = Held(torch.rand(outputs) + 0.5) if dora else None
    return LowRank(Held(torch.randn(rank, inputs)), Held(torch.randn(outputs, rank)), scale, transposed, magnitude)


def merged(weight: torch.Tensor, update: Update, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The whole, made by blocks."""
    height, *_ = shape = shape_after("w", tuple(weight.shape), update)
    rows, step = update.rows(Held(weight)), rows_in_a_block(shape)
    blocks = [rows(start, min(start + step, height)) for start in range(0, height, step)]
    return round_block("w", torch.cat(blocks), dtype, changed=True)


def test_the_sum_is_made_in_float32_and_rounded_once() -> None:
    low = low_rank()
    a, b = low.a.read(), low.b.read()
    weight = torch.randn(5, 3).to(torch.bfloat16)
    exact = (weight.double() + 2.0 * b.double() @ a.double()).float()
    found = merged(weight, low, torch.bfloat16)
    assert torch.equal(found, exact.to(torch.bfloat16))
    assert not torch.equal(found, weight + (2.0 * b.bfloat16() @ a.bfloat16()))


@pytest.mark.parametrize("rank", [1, 8, 16, 32, 64])
@pytest.mark.parametrize("shape", [(300, 700), (2000, 1536), (1024, 2048), (777, 320)])
def test_by_blocks_every_bit_is_that_of_a_merge_of_the_whole(
    shape: tuple[int, int], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "_BLOCK_ELEMENTS", 1 << 17)
    low = low_rank(shape, rank, scale=0.37)
    weight = torch.randn(shape).to(torch.bfloat16)
    assert rows_in_a_block(shape) < shape[0]
    assert torch.equal(merged(weight, low), weight.float() + 0.37 * (low.b.read() @ low.a.read()))


def test_by_blocks_dora_and_transposed_weights_are_those_of_the_whole_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "_BLOCK_ELEMENTS", 1 << 14)
    weight = torch.randn(640, 256).to(torch.bfloat16)
    dora = low_rank((640, 256), 8, dora=True)
    assert dora.magnitude is not None
    whole = weight.float() + 2.0 * (dora.b.read() @ dora.a.read())
    lengths = torch.linalg.norm(whole, dim=1)
    assert torch.equal(merged(weight, dora), whole * (dora.magnitude.read() / lengths).unsqueeze(1))
    low = low_rank((256, 640), 8, transposed=True)
    assert torch.equal(merged(weight, low), weight.float() + (2.0 * (low.b.read() @ low.a.read())).T)


def test_a_magnitude_is_the_length_of_each_output_however_the_weight_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "_BLOCK_ELEMENTS", 16)
    low, weight = low_rank((50, 30), dora=True), torch.randn(50, 30)
    assert low.magnitude is not None
    found = merged(weight, low)
    assert torch.allclose(found.norm(dim=1), low.magnitude.read())
    plain = LowRank(low.a, low.b, 2.0)
    directions = torch.nn.functional.normalize
    assert torch.allclose(directions(merged(weight, plain)), directions(found), atol=1e-6)
    transposed = LowRank(low.a, low.b, 2.0, transposed=True, magnitude=low.magnitude)
    assert torch.allclose(merged(weight.T.contiguous(), transposed), found.T, atol=1e-6)


@pytest.mark.parametrize("elements", [1 << 19, 4])
def test_rows_are_replaced_by_their_index_and_appended_behind_the_last(
    elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "_BLOCK_ELEMENTS", elements)
    weight = torch.arange(6.0).reshape(3, 2)
    found = merged(weight, Rows((4, 0, 3), Held(torch.tensor([[9.0, 9], [7, 7], [8, 8]]))))
    assert found.tolist() == [[7, 7], [2, 3], [4, 5], [8, 8], [9, 9]]


def test_rows_that_would_leave_a_gap_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 4 rows"):
        shape_after("w", (3, 2), Rows((4,), Held(torch.ones(1, 2))))


@pytest.mark.parametrize(
    "other", [low_rank, lambda: Whole(Held(torch.zeros(5, 3))), lambda: Rows((0,), Held(torch.zeros(1, 3)))]
)
def test_an_update_of_another_shape_is_refused(other: Callable[[], Update]) -> None:
    with pytest.raises(ConfigError, match=r"w is \(4, 4\) in the base.*another base model"):
        shape_after("w", (4, 4), other())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ConfigError, match="not finite"):
        merged(torch.zeros(5, 3), low_rank(scale=value))


def test_nan_in_a_weight_that_nothing_changes_is_refused_and_infinity_let_through() -> None:
    """A mask that a model keeps among its weights may hold -inf."""
    with pytest.raises(InputError, match="w holds NaN"):
        round_block("w", torch.tensor([1.0, float("nan")]), torch.bfloat16, changed=False)
    kept = round_block("w", torch.tensor([1.0, -float("inf"), float("inf")]), torch.bfloat16, changed=False)
    assert kept.tolist() == [1.0, -float("inf"), float("inf")]


def test_large_finite_values_whose_sum_overflows_are_fine() -> None:
    large = torch.full((4,), 3e38)
    assert torch.equal(round_block("w", large, torch.float32, changed=True), large)


def test_what_is_no_number_with_a_fraction_keeps_its_bits() -> None:
    assert round_block("mask", torch.ones(2, dtype=torch.bool), torch.bfloat16, changed=False).dtype == torch.bool


@pytest.mark.parametrize("changed", [True, False])
def test_values_that_float16_cannot_hold_are_refused(changed: bool) -> None:
    with pytest.raises(ConfigError, match=r"merge\.dtype = 'float16'.*1e\+05"):
        round_block("w", torch.full((2, 2), 1e5), torch.float16, changed)
    assert torch.isfinite(round_block("w", torch.full((2, 2), 1e5), torch.bfloat16, changed)).all()
