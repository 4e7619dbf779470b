import pytest
import torch

from serin.core.errors import ConfigError
from serin.merge.arithmetic import merge_tensor, updates_by_weight

CONFIG = {"r": 2, "lora_alpha": 4}


def adapter() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "base_model.model.model.layers.0.q.lora_A.weight": torch.randn(2, 3),
        "base_model.model.model.layers.0.q.lora_B.weight": torch.randn(5, 2),
    }


def test_the_sum_is_made_in_float32_and_rounded_once() -> None:
    tensors = adapter()
    weight = torch.randn(5, 3).to(torch.bfloat16)
    update = updates_by_weight(tensors, CONFIG)["model.layers.0.q.weight"]
    a, b = tensors.values()
    exact = (weight.double() + 2.0 * b.double() @ a.double()).float()
    merged = merge_tensor("w", weight, update, torch.bfloat16)
    assert torch.equal(merged, exact.to(torch.bfloat16))
    assert not torch.equal(merged, weight + (2.0 * b.bfloat16() @ a.bfloat16()))


def test_an_untouched_tensor_keeps_its_bits() -> None:
    weight = torch.randn(4, 4).to(torch.bfloat16)
    assert torch.equal(merge_tensor("w", weight, None, torch.bfloat16), weight)


def test_an_adapter_of_another_shape_is_refused() -> None:
    update = updates_by_weight(adapter(), CONFIG)["model.layers.0.q.weight"]
    with pytest.raises(ConfigError, match="another base model"):
        merge_tensor("w", torch.zeros(4, 3), update, torch.float32)


def test_weights_that_are_not_finite_are_refused() -> None:
    tensors = adapter()
    tensors["base_model.model.model.layers.0.q.lora_A.weight"][0, 0] = torch.nan
    update = updates_by_weight(tensors, CONFIG)["model.layers.0.q.weight"]
    with pytest.raises(ConfigError, match="not finite"):
        merge_tensor("w", torch.zeros(5, 3), update, torch.float32)


@pytest.mark.parametrize("field", ["use_dora", "use_rslora", "rank_pattern", "modules_to_save"])
def test_a_variant_that_it_does_not_know_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        updates_by_weight(adapter(), {**CONFIG, field: ["x"]})


def test_a_lost_half_is_refused() -> None:
    tensors = adapter()
    del tensors["base_model.model.model.layers.0.q.lora_B.weight"]
    with pytest.raises(ConfigError, match="no matching B"):
        updates_by_weight(tensors, CONFIG)
