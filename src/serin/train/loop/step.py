"""The gradient of one optimizer step, in micro-batches: the same however it is cut, and whole or not there."""

import gc
import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch

from serin.core.errors import ConfigError
from serin.lm.chat import Example
from serin.lm.packing import Batch, Layout, lay_out, target_nll

Precision = Callable[[], AbstractContextManager[None]]
"""Enters the arithmetic of the forward pass."""


def precision_of(dtype: torch.dtype, device: torch.device) -> Precision:
    """Autocast to ``dtype``, or nothing for float32; weights that are trained stay float32 either way."""
    if dtype == torch.float32:
        return nullcontext
    return lambda: torch.autocast(device.type, dtype)


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make dropout and noise of a step a function of (seed, step, process), so that no generator has to be saved."""
    digest = hashlib.sha256(f"{seed}/{step}/{rank}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def compute_gradient(
    model: torch.nn.Module,
    weights: Sequence[torch.nn.Parameter],
    examples: Sequence[Example],
    trained_tokens: int,
    micro_batch_size: int,
    layout: Layout,
    precision: Precision,
    before: Callable[[Batch], None] = lambda _: None,
) -> float:
    """Add to ``.grad`` the gradient of summed NLL / ``trained_tokens``, and return that loss (nats a token).

    ``trained_tokens`` counts the whole step, over all micro-batches and processes: a mean of the micro-batches' means would
    weigh tokens of short answers more (as several trainers did). ``before`` is called with each micro-batch.

    Raises:
        ConfigError: a loss that is not finite, with the records of its micro-batch.
        Whatever interrupts it; ``.grad`` is then empty.
    """
    device = weights[0].device
    losses = []
    try:
        for start in range(0, len(examples), micro_batch_size):
            batch = lay_out(examples[start : start + micro_batch_size], layout).to(device)
            before(batch)
            with precision():
                nll = target_nll(model, batch)
            (nll / trained_tokens).backward()  # type: ignore[no-untyped-call]  # untyped in torch
            losses.append(nll.detach())
        found: list[float] = torch.stack(losses).double().tolist() if losses else []
        _refuse_not_finite(found, examples, micro_batch_size)
    except BaseException:
        drop_gradients(weights)
        raise
    return sum(found) / trained_tokens


def _refuse_not_finite(found: Sequence[float], examples: Sequence[Example], micro_batch_size: int) -> None:
    for i, nll in enumerate(found):
        if not math.isfinite(nll):
            part = examples[i * micro_batch_size : (i + 1) * micro_batch_size]
            raise ConfigError(f"the loss of a micro-batch is {nll}; its records: {ids_of(part)}")


def drop_gradients(weights: Sequence[torch.nn.Parameter]) -> None:
    """Forget what was accumulated."""
    for weight in weights:
        weight.grad = None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: CUDA has an error of its own, the CPU's allocator a message."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def free_memory() -> None:
    """Give back what an interrupted pass left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halved(micro_batch_size: int) -> int:
    """The next smaller micro-batch. Raises ConfigError where one example alone does not fit."""
    if micro_batch_size == 1:
        raise ConfigError(
            "memory does not hold the step of one example: lower train.max_tokens or train.lora.r, turn on "
            "train.gradient_checkpointing, or take a machine with more memory ('serin train --plan' says how much)"
        )
    return (micro_batch_size + 1) // 2


def ids_of(examples: Sequence[Example], most: int = 8) -> str:
    """Record ids for a message."""
    shown = ", ".join(e.id for e in examples[:most])
    return shown if len(examples) <= most else f"{shown} and {len(examples) - most} more"
