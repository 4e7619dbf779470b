"""Two faults of bitsandbytes' 4-bit layers on CPUs, neither of which raises anything."""

from collections.abc import Iterator
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from bitsandbytes.nn import Linear4bit

_BLOCK = 64
"""Neighbouring weights that share a scale."""
_LARGEST_ERROR = 0.3
"""Relative, in root mean square: NF4 itself loses about a tenth of normally distributed weights."""


def forbid_repacking(model: torch.nn.Module) -> int:
    """Turn bitsandbytes' inference repacking off on every 4-bit layer; returns how many there are.

    With avx512_bf16 it repacks 4-bit weights at the first forward in eval mode; the next training forward then takes a kernel
    without autograd, and gradients are silently wrong.
    """
    layers = list(_layers(model))
    for _, layer in layers:
        layer.support_avx512bf16_for_cpu = False
    return len(layers)


def misread_layer(model: torch.nn.Module) -> str | None:
    """A 4-bit layer whose weights this device decodes into others, or None.

    bitsandbytes 0.50's kernel for CPUs with AVX-512 takes some rows' scales from their neighbours where the width is no multiple
    of 64 (found at 48, 96, 144 and 160). So each such shape is tried on random weights.
    """
    tried: dict[tuple[int, int, torch.dtype], bool] = {}
    for name, layer in _layers(model):
        shape = (layer.out_features, layer.in_features, layer.compute_dtype or torch.float32)
        if layer.in_features % _BLOCK and shape not in tried:
            tried[shape] = _is_misread(*shape, layer.weight.device)
            if tried[shape]:
                return f"{name} ({layer.out_features} x {layer.in_features})"
    return None


def _is_misread(outputs: int, inputs: int, dtype: torch.dtype, device: torch.device) -> bool:
    generator = torch.Generator().manual_seed(0)
    blocks = -(-outputs * inputs // _BLOCK)
    scales = 10 ** torch.rand(blocks, generator=generator)  # of blocks alike, the neighbour's would do
    values = (torch.randn(blocks, _BLOCK, generator=generator) * scales[:, None]).flatten()
    weight = values[: outputs * inputs].reshape(outputs, inputs).to(device, dtype)
    found = dequantize_4bit(*quantize_4bit(weight, quant_type="nf4", blocksize=_BLOCK))
    return bool((found - weight).float().norm() > _LARGEST_ERROR * weight.float().norm())


def _layers(model: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    return ((name, module) for name, module in model.named_modules() if isinstance(module, Linear4bit))
