"""Threshold rules of other rollout tools, as rules of their kind on simulated minutes: who would abort, and after how many.

Written from the tools' own documentation and sources, in their usual settings; what they judge is requests, and here each
request is a user of its own, as for Serin. Argo Rollouts: a check a minute, more than 3 failed ones abort
(argoproj.github.io/argo-rollouts/features/analysis, failureLimit). Flagger: a check a minute, 10 failed ones roll back
(docs.flagger.app/usage/how-it-works, threshold). Kayenta: every ten minutes a Mann-Whitney interval of 98 % of the minutes
of canary and a baseline of its size, bad if it lies beyond a tolerance of a quarter of the estimate (NetflixACAJudge.scala).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NEVER = math.inf
_KAYENTA_EVERY = 10
_Z98 = 2.326
_TOLERANCE = 0.25


@dataclass(frozen=True, slots=True)
class Minutes:
    """Of each rollout (first axis) and minute, a figure where more is worse: the canary's, and a baseline's of its size."""

    canary: Array
    baseline: Array
    units_a_minute: float


def failed_checks(minutes: Minutes, failed: Callable[[Minutes], NDArray[np.bool_]], most: int) -> Array:
    """Canary units until more than ``most`` checks have failed; inf where that did not happen."""
    counted = np.cumsum(failed(minutes), axis=1) > most
    return np.where(counted.any(axis=1), (counted.argmax(axis=1) + 1) * minutes.units_a_minute, NEVER)


def kayenta(minutes: Minutes) -> Array:
    """Canary units until the judge calls the canary high; inf where it never does."""
    rollouts, count = minutes.canary.shape
    aborted = np.full(rollouts, NEVER)
    for end in range(_KAYENTA_EVERY, count + 1, _KAYENTA_EVERY):
        window = slice(end - _KAYENTA_EVERY, end)
        differences = minutes.canary[:, window, None] - minutes.baseline[:, None, window]
        ordered = np.sort(differences.reshape(rollouts, -1), axis=1)
        pairs = _KAYENTA_EVERY**2
        margin = _Z98 * math.sqrt(pairs * (2 * _KAYENTA_EVERY + 1) / 12)
        low = ordered[:, max(0, math.floor(pairs / 2 - margin))]
        estimate = np.median(ordered, axis=1)
        high = low > _TOLERANCE * np.abs(estimate)
        aborted = np.where(high & np.isinf(aborted), end * minutes.units_a_minute, aborted)
    return aborted
