"""A micro-batch rehearsed on tensors that have shapes and no data: the memory and the arithmetic that the real one will take."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import bitsandbytes
import torch
from peft.tuners.lora import dora
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from serin.lm import attention
from serin.lm.chat import IGNORED, Example
from serin.lm.packing import Batch, lay_out, target_nll
from serin.train.loop.optimise import Optimizer
from serin.train.loop.step import precision_of
from serin.train.model.build import Group
from serin.train.plan.meter import MemoryMeter, Part
from serin.train.plan.outline import give_storage


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What one micro-batch took."""

    parts: Mapping[Part, int]
    """Bytes of each part at the peak."""
    heap_bytes: int
    """The most that tensors below ``MAPPED_BYTES`` held at once."""
    mapped_bytes: int
    """The most that larger ones did."""
    flops: int
    """Of products of matrices, forward and backward: two for a multiplication and its addition."""
    operations: int
    """Of PyTorch, each of which a GPU has to be told of."""


def example_of(tokens: int, trained_tokens: int) -> Example:
    """An example of so many tokens, the last ``trained_tokens`` of which are labelled."""
    return Example("", (0,) * tokens, (IGNORED,) * (tokens - trained_tokens) + (0,) * trained_tokens)


class Rehearsal:
    """The outline of a model with storage that nothing stands in; what it is rehearsed on may vary.

    Operations run on PyTorch's fake tensors, through the code that training uses, so that a new architecture, adapter or
    attention needs no formula here. The device is always the CPU: fake tensors of CUDA need a build with CUDA. Attention is so
    taken to compute in float32, which on a GPU it does not.

    Args:
        module: an outline, which is changed.
        vocabulary: of the model.
        dtype: of the forward pass.
        is_cuda: count as a GPU would take it.
    """

    def __init__(self, module: nn.Module, vocabulary: int, dtype: torch.dtype, is_cuda: bool) -> None:
        self.module = module
        self.vocabulary = vocabulary
        self.dtype = dtype
        self.is_cuda = is_cuda
        self._fake = FakeTensorMode()
        with self._fake:
            give_storage(module)
            self.trained = [weight for weight in module.parameters() if weight.requires_grad]
            named = {str(i): weight for i, weight in enumerate(self.trained)}
            self._moments = list(Optimizer([Group(named)], 0.0).moments().values())
        module.train()

    def run(self, examples: Sequence[Example], accumulates: bool) -> Rehearsed:
        """Forward and backward over one micro-batch, packed; ``accumulates``: gradients of one before it are there already."""
        meter = MemoryMeter(self.vocabulary, self.is_cuda)
        grouped = _GroupedProducts()  # type: ignore[no-untyped-call]  # untyped in torch
        with self._fake, grouped, meter, ExitStack() as hooks:
            frozen = [w for w in self.module.parameters() if not w.requires_grad]
            meter.count([*frozen, *scales_of(frozen), *self.module.buffers()], "weights")
            meter.count(self.trained, "adapter")
            meter.count(self._moments, "optimizer")
            for handle in meter.watch_gradients(self.trained):
                hooks.callback(handle.remove)
            if accumulates:
                for weight in self.trained:
                    weight.grad = torch.empty_like(weight)
                    meter.count([weight.grad], "gradients")
            batch = lay_out(examples, "packed")
            _tell_blocks(batch)
            with precision_of(self.dtype, torch.device("cpu"))(), _converting_as(self.is_cuda):
                nll = target_nll(self.module, batch)
            nll.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            for weight in self.trained:
                weight.grad = None
        return Rehearsed(meter.peak, meter.heap_peak_bytes, meter.mapped_peak_bytes, meter.flops, meter.operations)


class _GroupedProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's __init_subclass__
    """Shapes of products by expert, for which PyTorch has fake tensors in bfloat16 alone, though a CPU computes them in any."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten._grouped_mm.default:
            return func(*args, **kwargs or {})
        a, b, ends = (*args, (kwargs or {}).get("offs"))[:3]
        shape = (*a.shape[:-1], b.shape[-1])
        return a.new_empty((ends.shape[0], *shape) if a.ndim == b.ndim == 2 else shape)


def scales_of(weights: Sequence[nn.Parameter]) -> list[torch.Tensor]:
    """The scales of 4-bit weights."""
    states = [state for weight in weights if (state := getattr(weight, "quant_state", None)) is not None]
    return [t for s in states for t in (s.absmax, s.code, s.offset, s.state2.absmax, s.state2.code)]


def _tell_blocks(batch: Batch) -> None:
    """What attention over a packed row would look up in the positions, which hold nothing here."""
    attention.remember_blocks(batch.inputs["position_ids"], [0, *accumulate(batch.lengths)])


@contextmanager
def _converting_as(is_cuda: bool) -> Iterator[None]:
    """What PEFT asks before it converts: whether CUDA's autocast is on (4-bit layers), and a weight's class (DoRA)."""
    before, dequantize = torch.is_autocast_enabled("cuda"), dora.dequantize_module_weight
    torch.set_autocast_enabled("cuda", is_cuda)
    dora.dequantize_module_weight = _dequantized
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", before)
        dora.dequantize_module_weight = dequantize


def _dequantized(layer: nn.Module) -> torch.Tensor:
    """The weight of a layer, out of 4 bits where it is in them; fake parameters cannot be of bitsandbytes' class."""
    weight: Any = layer.weight
    state = getattr(weight, "quant_state", None)
    whole: torch.Tensor = weight if state is None else bitsandbytes.functional.dequantize_4bit(weight, state)
    return whole
