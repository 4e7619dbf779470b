"""What a checkpoint holds, and which of several a run goes on from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from serin.train.history import History


@dataclass(frozen=True, slots=True)
class State:
    """A run after ``step`` optimizer steps. Randomness is a function of the step, so no generator's state is in it."""

    step: int
    micro_batch_size: int
    history: History
    weights: Mapping[str, torch.Tensor]
    """What is trained, by name, float32."""
    moments: Mapping[str, torch.Tensor]
    """The optimizer's, by name; empty once the run has finished."""
    finished: bool = False
    """Nothing is left to do: the weights are the ones that were chosen."""


def folder_name(step: int) -> str:
    """The name of a checkpoint's folder; names sort as steps do."""
    return f"step-{step:08d}"


def step_of(name: str) -> int | None:
    """The step that a folder's name says, or None for another name."""
    digits = name.removeprefix("step-")
    return int(digits) if name.startswith("step-") and len(digits) == 8 and digits.isdecimal() else None


def to_remove(steps: Iterable[int], keep: int) -> list[int]:
    """Steps of checkpoints that the policy gives up: all but the last ``keep``. Each carries the best weights itself."""
    return sorted(steps)[:-keep]
