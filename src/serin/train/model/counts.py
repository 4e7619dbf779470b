"""Numbers of parameters."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of parameters; a 4-bit weight counts as one, and a shared one once."""

    trained: int
    total: int


def count(module: torch.nn.Module) -> Counts:
    """What is trained of a model, and all of it."""
    trained = total = 0
    for weight in module.parameters():
        packed = getattr(weight, "quant_state", None)
        size = packed.shape.numel() if packed is not None else weight.numel()
        total += size
        trained += size if weight.requires_grad else 0
    return Counts(trained, total)
