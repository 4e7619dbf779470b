"""4-bit layers that bitsandbytes decodes wrongly are found, wherever that is."""

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from bitsandbytes.nn import Linear4bit

from serin.lm.four_bit import forbid_repacking, misread_layer


def loses_more_than_nf4_does(outputs: int, inputs: int) -> bool:
    """On weights of which every block has another scale."""
    torch.manual_seed(3)
    weight = torch.randn(outputs * inputs) * torch.logspace(-1, 1, outputs * inputs // 16).repeat_interleave(16)
    weight = weight.reshape(outputs, inputs)
    found = dequantize_4bit(*quantize_4bit(weight, quant_type="nf4", blocksize=64))
    return bool((found - weight).norm() > 0.3 * weight.norm())


@pytest.mark.parametrize("inputs", [48, 64, 72, 96, 128, 144])
def test_a_layer_is_told_where_its_weights_come_back_as_others(inputs: int) -> None:
    """On some CPUs some widths do; this test holds on every machine."""
    layer = Linear4bit(inputs, 64, bias=False, quant_type="nf4")
    found = misread_layer(torch.nn.ModuleDict({"down_proj": layer}))
    assert (found is not None) == loses_more_than_nf4_does(64, inputs)
    assert found in (None, f"down_proj (64 x {inputs})")


def test_every_four_bit_layer_keeps_its_weights_as_they_are() -> None:
    model = torch.nn.Sequential(Linear4bit(64, 64), torch.nn.Linear(64, 64), Linear4bit(64, 64))
    assert forbid_repacking(model) == 2
    assert not any(layer.support_avx512bf16_for_cpu for layer in model if isinstance(layer, Linear4bit))
