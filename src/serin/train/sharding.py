"""Weights that no process holds whole: FSDP (Zhao et al. 2023, arXiv 2304.11277), by torch's ``fully_shard``, a layer at a time.

Each process keeps an equal part of every weight and gathers the parts of a layer when it computes that layer. With an adapter
only the base is cut up. What is trained then stays whole in every process, a few per cent of the model, so the optimizer, norms,
checkpoints and the output are those of an unsharded run. With ``method: full`` weights, gradients and moments are in parts.

A forward or backward pass gathers, so all processes have to make the same passes in the same order: see ``even_out``. For the
same reason a process that ran out of memory in one of them cannot try again alone.

NF4 needs nothing of its own: packed weights are gathered like others, and what unpacks them (with double quantisation 0.127 bits
a weight, Dettmers et al. 2023, arXiv 2305.14314) stays whole on the layer in every process, where bitsandbytes looks for it.
"""

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from serin.lm.chat import IGNORED, Example
from serin.train.processes import Processes

NOTHING = Example("nothing", (0, 0), (IGNORED, IGNORED))
"""An example that nothing is learnt from: it adds no target, and its gradient is zero."""


def shard(
    module: torch.nn.Module, trained: Mapping[str, torch.nn.Parameter], whole: bool, processes: Processes
) -> dict[str, torch.nn.Parameter]:
    """Cut the model up in place; buffers, and with ``whole`` what is trained, go to the process's device as they are.

    Args:
        module: on any device; a layer at a time is moved to the process's own, so the model never has to fit there.
        trained: by name.
        whole: leave what is trained whole in every process, as for an adapter.
        processes: more than one.

    Returns:
        What is trained, by name: with ``whole`` the very parameters, otherwise those in parts that have taken their place.
    """
    mesh = init_device_mesh(processes.device.type, (processes.count,))
    kept = set(trained.values()) if whole else set()
    for weight in kept:
        weight.data = weight.data.to(processes.device)
    for layer in reversed(layers_of(module)):  # from the inside out, as fully_shard asks for
        fully_shard(layer, mesh=mesh, ignored_params=kept)
    fully_shard(module, mesh=mesh, ignored_params=kept)
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)  # a step's loss is divided by the tokens of all processes already
            part.set_force_sum_reduction_for_comms(True)  # Gloo has no sum that divides
    found = dict(module.named_parameters())
    return {name: found[name] for name in trained}


def layers_of(module: torch.nn.Module) -> list[torch.nn.Module]:
    """The blocks that transformers says are computed as one: its decoder layers."""
    names: set[str] = set()
    for part in module.modules():
        names.update(getattr(part, "_no_split_modules", None) or ())
    return [part for part in module.modules() if type(part).__name__ in names]


def even_out(share: Sequence[Example], examples: int, processes: Processes) -> list[Example]:
    """A process's share of ``examples`` with as many more, that teach nothing, as make all shares equally long."""
    most = -(-examples // processes.count)
    return [*share, *[NOTHING] * (most - len(share))]


def gather(tensors: Mapping[str, torch.Tensor], processes: Processes) -> dict[str, torch.Tensor]:
    """Whole tensors in the memory of the first process's CPU, one after the other; the others get none of what is in parts.

    All processes have to call it.
    """
    found = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, DTensor):
            found[name] = tensor.detach()
            continue
        full = tensor.full_tensor().detach()
        if processes.is_first:
            found[name] = full.cpu()
    return found


@torch.no_grad()
def fill(target: torch.Tensor, whole: torch.Tensor) -> None:
    """Put into ``target`` this process's part of a tensor that every process has whole."""
    if isinstance(target, DTensor):
        parts = distribute_tensor(whole.to(target.device), target.device_mesh, target.placements, src_data_rank=None)
        target.to_local().copy_(parts.to_local())
    else:
        target.copy_(whole)


def parts_of(tensors: Collection[torch.Tensor]) -> list[torch.Tensor]:
    """What this process holds of each, as plain tensors over the same memory."""
    return [t.to_local() if isinstance(t, DTensor) else t for t in tensors]


def gradient_norm(weights: Sequence[torch.nn.Parameter], processes: Processes) -> float:
    """The 2-norm of the whole gradient, the same in every process."""
    gradients = [w.grad for w in weights if w.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(parts_of(gradients)))
    if not any(isinstance(g, DTensor) for g in gradients):
        return norm
    return math.sqrt(processes.sum(norm**2))


def shorten_gradient(weights: Sequence[torch.nn.Parameter], norm: float, most: float) -> None:
    """Scale the gradient, whose 2-norm is ``norm``, down to ``most`` (Pascanu et al. 2013, arXiv 1211.5063)."""
    if norm > most:
        torch._foreach_mul_(parts_of([w.grad for w in weights if w.grad is not None]), most / norm)
