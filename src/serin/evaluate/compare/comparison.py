"""Paired comparison of two models on the same questions: gain, interval, permutation test, and what could have been seen.

The unit is the group, not the question: phrasings of one fact stand or fall together, so whole groups are drawn and whole
groups change sides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_POWER = 0.8
_CHUNK = 1 << 22
"""Most numbers drawn at once."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Values of two models for the same questions."""

    candidate: Sequence[float]
    reference: Sequence[float]
    groups: Sequence[str]
    """Which group each question belongs to."""
    weights: Sequence[float] | None = None
    """What each question weighs in a mean; None: all the same."""
    is_log: bool = False
    """Values are logarithms of what is told: means are exponentials, and a gain is the relative change of these."""

    def __post_init__(self) -> None:
        """Raises ValueError without questions, or where lists differ in length."""
        lengths = {len(self.candidate), len(self.reference), len(self.groups)}
        if self.weights is not None:
            lengths.add(len(self.weights))
        if len(lengths) != 1 or not self.candidate:
            raise ValueError(f"lists of {sorted(lengths)} values: expected the same number in each, at least one")


@dataclass(frozen=True, slots=True)
class Gain:
    """The mean over questions of (candidate minus reference)."""

    candidate: float
    reference: float
    gain: float
    ci_low: float
    ci_high: float
    p: float
    """Of a two-sided permutation test: how often chance alone, changing the sides of whole groups, gives as large a gain."""
    smallest_effect: float
    """The smallest true gain that a set like this one shows in 80 of 100 draws, at the level of the interval."""
    questions: int
    groups: int


def compare(pairs: Pairs, confidence: float, resamples: int, seed: int) -> Gain:
    """The gain with its interval, by a percentile bootstrap over groups (Efron 1979; Field and Welsh 2007 for groups).

    Shares are special: where no group differs, a bootstrap would claim certainty. For values of 0 and 1 the interval is
    therefore at least that of Agresti and Min (2005, Statistics in Medicine 24), which adds half a pair for each outcome.
    """
    sums, counts = _by_group(pairs)
    random = np.random.default_rng(seed)
    means = _bootstrap(sums, counts, resamples, random)
    tail = (1 - confidence) / 2
    low, high = (float(end) for end in np.quantile(means, [tail, 1 - tail]))
    error = float(means.std())
    if _is_share(pairs):
        middle, adjusted = _agresti_min(sums / counts)
        width = NormalDist().inv_cdf(1 - tail) * adjusted
        low, high, error = min(low, middle - width), max(high, middle + width), max(error, adjusted)
    weights = pairs.weights
    told = math.exp if pairs.is_log else float
    changed = math.expm1 if pairs.is_log else float
    return Gain(
        candidate=told(float(np.average(pairs.candidate, weights=weights))),
        reference=told(float(np.average(pairs.reference, weights=weights))),
        gain=changed(float(sums.sum() / counts.sum())),
        ci_low=changed(low if pairs.is_log else max(low, -1.0) if _is_share(pairs) else low),
        ci_high=changed(high if pairs.is_log else min(high, 1.0) if _is_share(pairs) else high),
        p=_permutation_p(sums, resamples, random),
        smallest_effect=changed((NormalDist().inv_cdf(1 - tail) + NormalDist().inv_cdf(_POWER)) * error),
        questions=len(pairs.candidate),
        groups=len(sums),
    )


def _by_group(pairs: Pairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each group the weighted sum of differences, and the weight."""
    weights = np.ones(len(pairs.candidate)) if pairs.weights is None else np.asarray(pairs.weights, dtype=float)
    difference = (np.asarray(pairs.candidate, dtype=float) - np.asarray(pairs.reference, dtype=float)) * weights
    _, member = np.unique(np.asarray(pairs.groups), return_inverse=True)
    sums = np.bincount(member, weights=difference).astype(np.float64)
    counts = np.bincount(member, weights=weights).astype(np.float64)
    return sums, counts


def _bootstrap(
    sums: NDArray[np.float64], counts: NDArray[np.float64], resamples: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """The mean of each resample, in which whole groups are drawn with replacement."""
    found = []
    for rows in _rows(resamples, len(sums)):
        drawn = random.integers(0, len(sums), size=(rows, len(sums)))
        found.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    return np.concatenate(found)


def _permutation_p(sums: NDArray[np.float64], resamples: int, random: np.random.Generator) -> float:
    """Share of sign changes, the observed one among them, whose total is as far from 0 (Phipson and Smyth 2010).

    Where not one of those drawn is as far, the share is only known to be small. Hoeffding's bound for a sum of random signs
    (1963, Journal of the American Statistical Association 58, theorem 2) then says how small, which a correction for many
    gains needs to know.
    """
    moving = sums[sums != 0]
    observed = abs(moving.sum()) * (1 - 1e-12)  # sums in another order may differ in the last bit
    as_far = 0
    for rows in _rows(resamples, max(1, len(moving))):
        signs = random.integers(0, 2, size=(rows, len(moving)), dtype=np.int8) * 2 - 1
        as_far += int((np.abs(signs @ moving) >= observed).sum())
    share = (1 + as_far) / (1 + resamples)
    return share if as_far else min(share, 2 * math.exp(-(observed**2) / (2 * float((moving**2).sum()))))


def _agresti_min(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Middle and standard error of a difference of paired shares, with half a pair added to each of the four outcomes."""
    pairs = len(differences) + 2
    middle = float(differences.sum()) / pairs
    square = (float((differences**2).sum()) + 1) / pairs
    return middle, math.sqrt(max(0.0, square - middle**2) / pairs)


def _is_share(pairs: Pairs) -> bool:
    return pairs.weights is None and not pairs.is_log and {*pairs.candidate, *pairs.reference} <= {0.0, 1.0}


def _rows(resamples: int, width: int) -> list[int]:
    rows = max(1, min(resamples, _CHUNK // width))
    return [min(rows, resamples - start) for start in range(0, resamples, rows)]
