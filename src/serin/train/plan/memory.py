"""Memory of one process at its peak, by part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import bitsandbytes
import torch
from torch import nn
from transformers import PretrainedConfig

from serin.core.params import TrainParams
from serin.lm.device import attention_for, compute_dtype
from serin.train.model.counts import Counts, count
from serin.train.plan.devices import Device
from serin.train.plan.meter import Part
from serin.train.plan.outline import outline
from serin.train.plan.rehearsal import Rehearsal, Rehearsed, example_of

_HEAP_GROWTH = {"full": 1.2, "lora": 1.4, "qlora": 1.75}
"""A CPU's heap against what lives in it: small objects pin the holes that large ones leave, and the more so the more that is
made and dropped between what backward needs (weights out of 4 bits, inputs in another precision). Fitted to sixteen shapes and
checked on others: benchmarks/train_plan.py. With ``gradient_checkpointing`` memory is given back (``lm.device``)."""
_AROUND_BYTES = 40 << 20
"""Workspaces of kernels, the tokenizer, the data."""
_CUDA_AROUND_BYTES = 64 << 20
"""cuBLAS's workspaces. Not measured."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one process above what its imports take."""

    parts: Mapping[Part | Literal["allocator"], int]
    """At the peak of a step: weights, adapter, gradients, optimizer, activations, logits, and what allocators and kernels
    take beside them."""
    loading_bytes: int
    """The peak while the base is loaded."""

    @property
    def total_bytes(self) -> int:
        """The peak of the run: in a step or while loading."""
        return max(sum(self.parts.values()), self.loading_bytes)


@dataclass(frozen=True, slots=True)
class Estimate:
    """One micro-batch."""

    memory: Memory
    flops_per_token: float
    """Forward and backward."""
    operations: int
    """Of one micro-batch, forward and backward."""


class Estimator:
    """Memory and arithmetic of micro-batches on one model and device.

    Raises:
        ConfigError: params that the base cannot be trained with.
    """

    def __init__(self, config: PretrainedConfig, params: TrainParams, device: Device) -> None:
        placed = torch.device("cuda" if device.is_cuda else "cpu")
        self.params = params
        self.device = device
        self.dtype = compute_dtype(params.dtype, placed)
        self.stored_dtype = _dtype_of(config)  # now: a model that is made of the config writes its own there
        # On a GPU, FlashAttention keeps what SDPA's own flash kernel keeps; the rehearsal takes the latter.
        attention = attention_for(
            "auto" if params.attention == "flash_attention_2" else params.attention, config, torch.device("cpu")
        )
        module = outline(config, params, self.dtype, attention)
        self.counts: Counts = count(module)
        self._pages_bytes = self._pages_that_stay(module)
        self.vocabulary: int = config.get_text_config().vocab_size
        self._rehearsal = Rehearsal(module, self.vocabulary, self.dtype, device.is_cuda)

    def estimate(self, examples: Sequence[tuple[int, int]]) -> Estimate:
        """Memory and arithmetic of a micro-batch of examples of so many (tokens, trained tokens)."""
        found = self.rehearse(examples)
        live = sum(found.parts.values())
        if self.device.is_cuda:
            total = live + _CUDA_AROUND_BYTES
        else:
            growth = 1.0 if self.params.gradient_checkpointing else _HEAP_GROWTH[self.params.method]
            total = round(growth * found.heap_bytes) + found.mapped_bytes + self._pages_bytes + _AROUND_BYTES
        parts: dict[Part | Literal["allocator"], int] = dict(found.parts.items())
        memory = Memory(parts | {"allocator": total - live}, self._loading_bytes(found.parts))
        return Estimate(memory, found.flops / sum(tokens for tokens, _ in examples), found.operations)

    def rehearse(self, examples: Sequence[tuple[int, int]]) -> Rehearsed:
        """What its tensors take."""
        accumulates = len(examples) < self.params.batch_size
        return self._rehearsal.run([example_of(*lengths) for lengths in examples], accumulates)

    def _pages_that_stay(self, module: nn.Module) -> int:
        """Pages of the base's file under what was quantised: weights that are used as they are keep the file mapped (CPU)."""
        if self.device.is_cuda or self.dtype != self.stored_dtype:
            return 0
        quantised: int = sum(m.weight.numel() for m in module.modules() if isinstance(m, bitsandbytes.nn.Linear4bit))
        return quantised * self.stored_dtype.itemsize

    def _loading_bytes(self, parts: Mapping[Part, int]) -> int:
        """The weights, with the file's pages beside them where they are converted; a GPU gets them one by one."""
        held = parts["weights"] + (parts["adapter"] if self.params.method == "full" else 0)
        keeps_pages = not self.device.is_cuda and (self.params.method == "qlora" or self.dtype != self.stored_dtype)
        return held + (self.counts.total * self.stored_dtype.itemsize if keeps_pages else 0)


def _dtype_of(config: PretrainedConfig) -> torch.dtype:
    """Of the weights' files, as far as the config says."""
    said = getattr(torch, config.dtype) if isinstance(config.dtype, str) else config.dtype
    return said if isinstance(said, torch.dtype) else torch.float32
