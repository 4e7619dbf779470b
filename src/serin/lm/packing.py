"""Batches without padding: examples laid end to end, each seeing only itself.

Exact on SDPA and eager attention if ``position_ids`` restart at each example, no attention mask is given and no KV
cache is used: transformers then derives the block-diagonal mask from the positions. A cache or a mask of ones would
let examples leak into each other without a word.
"""

from collections.abc import Sequence

import torch

from serin.lm.chat import IGNORED, Example


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """``input_ids``, ``position_ids`` and ``labels`` of shape (1, total tokens), int64."""
    ids: list[int] = []
    positions: list[int] = []
    labels: list[int] = []
    for example in examples:
        ids += example.input_ids
        positions += range(len(example.input_ids))
        labels += (IGNORED, *example.labels[1:])  # the first token of an example is no continuation of the one before
    return {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "labels": torch.tensor([labels]),
    }
