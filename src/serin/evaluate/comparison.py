"""Paired comparison of two models on the same questions: means, gains, and bootstrap intervals."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Gain:
    """The mean over questions of (candidate minus reference), with its interval."""

    metric: str
    slice: str
    base: float
    tuned: float
    delta: float
    ci_low: float
    ci_high: float
    questions: int

    def as_dict(self) -> dict[str, float | str | int]:
        """For JSON."""
        return asdict(self)


def paired_gain(
    metric: str,
    slice_: str,
    base: Sequence[float],
    tuned: Sequence[float],
    confidence: float,
    resamples: int,
    seed: int,
    groups: Sequence[str] | None = None,
) -> Gain:
    """Compare scores of the same questions, by a percentile bootstrap over the paired differences (Efron 1979).

    With ``groups`` whole groups are drawn, since phrasings of one fact stand or fall together and count as one draw.

    Raises:
        ValueError: no questions, or lists of different length.
    """
    if not base or len(base) != len(tuned):
        raise ValueError(f"{len(base)} against {len(tuned)} scores: expected the same number, at least one")
    difference = np.asarray(tuned, dtype=float) - np.asarray(base, dtype=float)
    names, member = np.unique(np.asarray(groups if groups is not None else range(len(base))), return_inverse=True)
    sums, counts = np.bincount(member, weights=difference), np.bincount(member)
    drawn = np.random.default_rng(seed).integers(0, len(names), size=(resamples, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Gain(
        metric=metric,
        slice=slice_,
        base=float(np.mean(base)),
        tuned=float(np.mean(tuned)),
        delta=float(difference.mean()),
        ci_low=float(low),
        ci_high=float(high),
        questions=len(base),
    )
