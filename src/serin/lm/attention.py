"""Attention over packed rows, one block after the other: each example attends to itself, and nothing else is computed.

SDPA over a whole packed row computes rows x columns of a mask that is almost all forbidden: work grows with the square of the
row. Here it grows with the squares of the examples. FlashAttention does the same in one kernel, where it is installed; this
takes any SDPA kernel, so a CPU's too. It is registered under ``BLOCKS`` by transformers' own interface for attention.
"""

from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.weak import WeakTensorKeyDictionary
from transformers import AttentionInterface

BLOCKS = "serin_blocks"

_starts: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def block_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - the interface's
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    position_ids: torch.Tensor | None = None,
    **unused: Any,  # noqa: ARG001 - the interface's
) -> tuple[torch.Tensor, None]:
    """Causal attention within each block of a packed row, or within each row.

    Args:
        module: the attention layer, whose ``num_key_value_groups`` says how many query heads share a key's.
        query: (rows, heads, columns, width); ``key`` and ``value`` with their own number of heads.
        attention_mask: not looked at: padding stands on the right, where causal attention never looks.
        dropout: of attention weights.
        scaling: of the products; None: by the root of the width.
        sliding_window: how far back a token looks, where the layer limits it.
        position_ids: (1, columns), 0 where a block begins.
        unused: what other implementations take.

    Returns:
        (rows, columns, heads, width), and no weights.

    Raises:
        ValueError: there are more keys than queries, as with a KV cache.
    """
    if key.shape[2] != query.shape[2]:
        raise ValueError("blocks are for whole sequences: load the model with sdpa to generate with a KV cache")
    groups = getattr(module, "num_key_value_groups", 1)
    packed = position_ids is not None and query.shape[0] == 1 and position_ids.shape[-1] == query.shape[2]
    bounds = _bounds(position_ids) if packed and position_ids is not None else [0, query.shape[2]]
    if groups > 1 and query.shape[2] * len(bounds) > 0:
        key, value = (t.repeat_interleave(groups, dim=1) for t in (key, value))
    dtype = query.dtype
    with nullcontext() if query.is_cuda else torch.autocast(query.device.type, enabled=False):
        if not query.is_cuda:  # a CPU's kernel is several times slower in bfloat16 than in float32 on short blocks
            query, key, value = query.float(), key.float(), value.float()
        blocks = []
        for start, end in pairwise(bounds):
            window = sliding_window if sliding_window is not None and end - start > sliding_window else None
            blocks.append(
                scaled_dot_product_attention(
                    query[:, :, start:end],
                    key[:, :, start:end],
                    value[:, :, start:end],
                    attn_mask=_window_mask(end - start, window, query.device) if window else None,
                    dropout_p=dropout,
                    is_causal=window is None,
                    scale=scaling,
                )
            )
        return torch.cat(blocks, dim=2).transpose(1, 2).contiguous().to(dtype), None


def remember_blocks(position_ids: torch.Tensor, bounds: list[int]) -> None:
    """Say where the blocks of a packed row begin, and its end, for positions that cannot be read."""
    _starts[position_ids] = bounds


def _bounds(position_ids: torch.Tensor) -> list[int]:
    """Where blocks begin, and the end; found once a batch, since a GPU has to be waited for."""
    if position_ids not in _starts:
        flat = position_ids.reshape(-1, position_ids.shape[-1])[0]
        begins = (flat == 0).nonzero().flatten().tolist()
        _starts[position_ids] = [*(begins if begins[:1] == [0] else [0, *begins]), flat.numel()]
    bounds: list[int] = _starts[position_ids]
    return bounds


def _window_mask(length: int, window: int, device: torch.device) -> torch.Tensor:
    back = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)[None, :]
    return (back >= 0) & (back < window)


AttentionInterface.register(BLOCKS, block_attention)
