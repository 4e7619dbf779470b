"""Which examples each optimizer step sees: a function of the seed and the step alone, so that nothing of it is saved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from serin.core.params import TrainParams


@dataclass(frozen=True, slots=True)
class Order:
    """``examples`` in batches of ``batch_size``, drawn anew each epoch; an epoch's last batch may be smaller."""

    examples: int
    batch_size: int
    steps: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps that see every example once."""
        return math.ceil(self.examples / self.batch_size)

    def rows(self, step: int) -> list[int]:
        """Indices of the examples that the step sees; ``step`` counts from 0."""
        epoch, within = divmod(step, self.steps_per_epoch)
        start = within * self.batch_size
        return [int(i) for i in _permutation(self.examples, self.seed, epoch)[start : start + self.batch_size]]

    def epoch_after(self, step: int) -> float:
        """Passes over the data that ``step`` steps make."""
        return step / self.steps_per_epoch

    def ends_epoch(self, step: int) -> bool:
        """Whether ``step`` steps are whole epochs."""
        return step > 0 and step % self.steps_per_epoch == 0


def order_of(params: TrainParams, examples: int) -> Order:
    """The order that params ask for."""
    steps = params.max_steps or math.ceil(params.epochs * math.ceil(examples / params.batch_size))
    return Order(examples, params.batch_size, steps, params.seed)


def share_of(rows: Sequence[int], lengths: Sequence[int], rank: int, processes: int) -> list[int]:
    """The rows of one process, short examples first: those of like length then share a micro-batch.

    Dealt out by length, so that every process has about as many tokens.
    """
    ordered = sorted(rows, key=lambda row: (lengths[row], row))
    return ordered[rank::processes]


@lru_cache(maxsize=2)
def _permutation(examples: int, seed: int, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.random.default_rng([seed, epoch]).permutation(examples)
