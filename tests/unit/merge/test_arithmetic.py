import pytest
import torch

from serin.core.errors import ConfigError
from serin.merge.arithmetic import LowRank, Rows, Whole, merge_tensor


def update(scale: float = 2.0) -> LowRank:
    torch.manual_seed(0)
    return LowRank(a=torch.randn(2, 3), b=torch.randn(5, 2), scale=scale)


def test_the_sum_is_made_in_float32_and_rounded_once() -> None:
    low = update()
    weight = torch.randn(5, 3).to(torch.bfloat16)
    exact = (weight.double() + 2.0 * low.b.double() @ low.a.double()).float()
    merged = merge_tensor("w", weight, low, torch.bfloat16)
    assert torch.equal(merged, exact.to(torch.bfloat16))
    assert not torch.equal(merged, weight + (2.0 * low.b.bfloat16() @ low.a.bfloat16()))


def test_a_magnitude_is_the_length_of_each_output_however_the_weight_is_kept() -> None:
    torch.manual_seed(0)
    low, weight, magnitude = update(), torch.randn(5, 3), torch.rand(5) + 0.5
    merged = LowRank(low.a, low.b, 2.0, magnitude=magnitude).apply(weight)
    assert torch.allclose(merged.norm(dim=1), magnitude)
    assert torch.allclose(torch.nn.functional.normalize(low.apply(weight)), torch.nn.functional.normalize(merged))
    transposed = LowRank(low.a, low.b, 2.0, transposed=True, magnitude=magnitude).apply(weight.T)
    assert torch.allclose(transposed, merged.T)


def test_an_untouched_tensor_keeps_its_bits() -> None:
    weight = torch.randn(4, 4).to(torch.bfloat16)
    assert torch.equal(merge_tensor("w", weight, None, torch.bfloat16), weight)
    mask = torch.ones(2, dtype=torch.bool)
    assert merge_tensor("mask", mask, None, torch.bfloat16).dtype == torch.bool


def test_rows_are_replaced_by_their_index_and_appended_behind_the_last() -> None:
    weight = torch.arange(6.0).reshape(3, 2)
    merged = merge_tensor("w", weight, Rows((4, 0, 3), torch.tensor([[9.0, 9], [7, 7], [8, 8]])), torch.float32)
    assert merged.tolist() == [[7, 7], [2, 3], [4, 5], [8, 8], [9, 9]]


def test_rows_that_would_leave_a_gap_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 4 rows"):
        merge_tensor("w", torch.zeros(3, 2), Rows((4,), torch.ones(1, 2)), torch.float32)


@pytest.mark.parametrize("other", [update(), Whole(torch.zeros(5, 3)), Rows((0,), torch.zeros(1, 3))])
def test_an_update_of_another_shape_is_refused(other: LowRank | Whole | Rows) -> None:
    with pytest.raises(ConfigError, match=r"w is \(4, 4\) in the base.*another base model"):
        merge_tensor("w", torch.zeros(4, 4), other, torch.float32)


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ConfigError, match="not finite"):
        merge_tensor("w", torch.zeros(5, 3), update(scale=float("nan")), torch.float32)


@pytest.mark.parametrize("change", [None, Whole(torch.full((2, 2), 1e5))])
def test_values_that_float16_cannot_hold_are_refused(change: Whole | None) -> None:
    with pytest.raises(ConfigError, match=r"merge\.dtype = 'float16'.*1e\+05"):
        merge_tensor("w", torch.full((2, 2), 1e5), change, torch.float16)
    assert torch.isfinite(merge_tensor("w", torch.full((2, 2), 1e5), change, torch.bfloat16)).all()
