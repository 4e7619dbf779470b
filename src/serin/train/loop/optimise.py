"""AdamW over float32 weights, and the learning rate as a function of the step."""

import math
from collections.abc import Mapping, Sequence

import torch

from serin.core.params import TrainParams
from serin.train.model.build import Group
from serin.train.sharding import fill

_MOMENTS = ("exp_avg", "exp_avg_sq")


def learning_rate(params: TrainParams, step: int, steps: int) -> float:
    """The rate of the step after ``step`` steps: it rises linearly over the warm-up, then falls as ``schedule`` says."""
    warmup = round(params.warmup_ratio * steps)
    if step < warmup:
        return params.learning_rate * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, steps - warmup)
    falling = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[params.schedule]
    floor = 1.0 if params.schedule == "constant" else params.min_rate_share
    return params.learning_rate * (floor + (1 - floor) * falling)


class Optimizer:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101), whole or not at all where memory runs out.

    Moments exist from the start and each group is one fused kernel, which takes no memory of its own: so an update that
    fails for want of memory has changed either nothing or all of a group, and ``finish`` does the groups that are left.
    """

    def __init__(self, groups: Sequence[Group], weight_decay: float) -> None:
        self.groups = [group for group in groups if group.weights]
        self.updates = 0
        self._adamw = [
            torch.optim.AdamW(list(g.weights.values()), weight_decay=weight_decay if g.decays else 0.0, fused=True)
            for g in self.groups
        ]
        self._left: list[torch.optim.AdamW] = []
        for adamw in self._adamw:
            for weight in adamw.param_groups[0]["params"]:
                adamw.state[weight] = {
                    "step": torch.zeros((), dtype=torch.float32, device=weight.device),
                    **{name: torch.zeros_like(weight, memory_format=torch.preserve_format) for name in _MOMENTS},
                }

    def update(self, rate: float) -> None:
        """One update of every group from the gradients that stand in the weights, which are dropped after it."""
        self.begin(rate)
        self.finish()

    def begin(self, rate: float) -> None:
        """Get ready for an update, which ``finish`` makes."""
        for group, adamw in zip(self.groups, self._adamw, strict=True):
            adamw.param_groups[0]["lr"] = rate * group.rate_ratio
        self._left = list(self._adamw)

    def finish(self) -> None:
        """Update the groups that have not been yet; call it again where memory ran out in it."""
        while self._left:
            try:
                self._left[0].step()
            except BaseException:
                self._set_counts(self._left[0])  # the kernel counts before it computes
                raise
            self._left.pop(0).zero_grad(set_to_none=True)
        self.updates += 1

    def moments(self) -> dict[str, torch.Tensor]:
        """First and second moments as ``<name>/<weight>``."""
        return {
            f"{name}/{weight}": adamw.state[parameter][name]
            for group, adamw in zip(self.groups, self._adamw, strict=True)
            for weight, parameter in group.weights.items()
            for name in _MOMENTS
        }

    @torch.no_grad()
    def restore(self, moments: Mapping[str, torch.Tensor], updates: int) -> None:
        """Go on from moments that ``moments`` gave after ``updates`` updates."""
        for name, tensor in self.moments().items():
            fill(tensor, moments[name])
        self.updates = updates
        for adamw in self._adamw:
            self._set_counts(adamw)

    def _set_counts(self, adamw: torch.optim.AdamW) -> None:
        for state in adamw.state.values():
            state["step"].fill_(self.updates)
