"""Bytes that tensors hold at once, by what they are for, counted while operations run on tensors without data."""

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry
from torch.utils.hooks import RemovableHandle

Part = Literal["weights", "adapter", "gradients", "optimizer", "activations", "logits"]
PARTS: tuple[Part, ...] = ("weights", "adapter", "gradients", "optimizer", "activations", "logits")

MAPPED_BYTES = 32 << 20
"""What is at least as large, glibc maps apart and gives back at once; its heap holds the rest (DEFAULT_MMAP_THRESHOLD_MAX)."""
_NO_KERNEL = (torch.ops.prim.device.default,)  # asked of fake tensors alone
_CUDA_BLOCK_BYTES = 512  # its caching allocator rounds every request up to this


class MemoryMeter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's __init_subclass__
    """Within its block, sees every tensor that an operation makes, and when the last one on the same bytes is gone.

    What kernels take within themselves is not seen.

    Args:
        vocabulary: the last dimension that tells logits from other activations.
        is_cuda: sizes as CUDA's allocator rounds them, and masks of dropout in bytes, as its fused kernel keeps them.
    """

    def __init__(self, vocabulary: int, is_cuda: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in torch
        self.vocabulary = vocabulary
        self.is_cuda = is_cuda
        self.live: dict[Part, int] = dict.fromkeys(PARTS, 0)
        self.peak: dict[Part, int] = dict(self.live)
        """Each part at the moment when all together were most."""
        self.heap_peak_bytes = 0
        """The most that small tensors held at once, and so what a heap has grown to."""
        self.mapped_peak_bytes = 0
        """The most that large tensors held at once."""
        self.operations = 0
        self.flops = 0
        """Of products of matrices and of attention: two for a multiplication and its addition."""
        self._heap_bytes = self._mapped_bytes = self._peak_bytes = 0
        self._known: dict[int, tuple[Part, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See ``TorchDispatchMode``."""
        made = func(*args, **kwargs or {})
        self.operations += func not in _NO_KERNEL
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.flops += count(*args, **kwargs or {}, out_val=made)
        for tensor in tree_iter(made):
            if isinstance(tensor, torch.Tensor):
                self._take(tensor, "logits" if self.vocabulary in tensor.shape[-1:] else "activations")
        if self.is_cuda and func is torch.ops.aten.bernoulli_.float:
            part, size = self._known[id(made.untyped_storage())]
            self._change(part, made.numel() - size)
            self._known[id(made.untyped_storage())] = part, made.numel()
        total = self._heap_bytes + self._mapped_bytes
        if total > self._peak_bytes:
            self._peak_bytes, self.peak = total, dict(self.live)
        return made

    def count(self, tensors: Iterable[torch.Tensor], part: Part) -> None:
        """Count tensors as ``part`` from now on."""
        for tensor in tensors:
            self._forget(id(tensor.untyped_storage()))
            self._take(tensor, part)

    def watch_gradients(self, weights: Sequence[torch.nn.Parameter]) -> list[RemovableHandle]:
        """Count what becomes the gradient of one of ``weights`` as such, until the handles are removed."""
        hooks: list[Callable[..., RemovableHandle]] = [w.register_post_accumulate_grad_hook for w in weights]
        return [hook(self._take_gradient) for hook in hooks]

    def _take_gradient(self, weight: torch.Tensor) -> None:
        if weight.grad is not None:
            self.count([weight.grad], "gradients")

    def _take(self, tensor: torch.Tensor, part: Part) -> None:
        storage: Any = tensor.untyped_storage()
        key = id(storage)
        if key in self._known:
            return
        size = storage.nbytes()
        if self.is_cuda:
            size = -(-size // _CUDA_BLOCK_BYTES) * _CUDA_BLOCK_BYTES
        self._known[key] = part, size
        self._change(part, size)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        if key in self._known:
            part, size = self._known.pop(key)
            self._change(part, -size)

    def _change(self, part: Part, size: int) -> None:
        self.live[part] += size
        if abs(size) < MAPPED_BYTES:
            self._heap_bytes += size
            self.heap_peak_bytes = max(self.heap_peak_bytes, self._heap_bytes)
        else:
            self._mapped_bytes += size
            self.mapped_peak_bytes = max(self.mapped_peak_bytes, self._mapped_bytes)
