"""The statistics of a rollout: e-processes over binary outcomes under a known random split.

One observation is (arm X, the canary's weight w when the unit was assigned, y in {0, 1} with 1 = bad). With guesses
θ_s and θ_c made before the observation, and θ_0 = (1-w)·θ_s + w·θ_c, its e-value is

    e = y·θ_X/θ_0 + (1-y)·(1-θ_X)/(1-θ_0)

(Turner, Ly, Grünwald, arXiv 2106.02693, specialised to a split that is known). If both arms have the same mean m at
that moment, E[e] = m·((1-w)θ_s + wθ_c)/θ_0 + (1-m)·((1-w)(1-θ_s) + w(1-θ_c))/(1-θ_0) = m + (1-m) = 1, whatever m is:
drift and outages that both arms share move nothing, nor do changes of w. E[e] rises with the canary's mean where
θ_c > θ_0 and falls with it where θ_c < θ_0, so a guess on one side of stable tests one side. The product over
observations is a test supermartingale, and P(sup E ≥ 1/α) ≤ α (Ville 1939), however often somebody looks.

The margin: stable's y is replaced by y + (1-y)·δ, whose mean is m_s + (1-m_s)·δ; linear in y, so all of the above
holds. ``δ`` is thus the share of stable's good outcomes that may turn bad: at most δ as a difference of rates.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

Arm = Literal["stable", "canary"]

ODDS_RATIOS = (1.5, 2.5, 6.0, 25.0, 150.0)
"""Guessed effects: how much better or worse the canary's odds of a bad outcome are. E is the average over them."""
SPLIT_ODDS_RATIOS = (0.5, 0.8, 1.25, 2.0)
"""Guessed faults of a split: how far the true odds of the canary are from the declared ones."""
SPLIT_ALPHA = 0.001
"""Chance of calling a sound split broken."""
_PRIOR_BAD, _PRIOR_UNITS = 0.5, 2.0
_LARGEST = 1e300


class Outcome(NamedTuple):
    """One unit in one metric: its arm, the canary's weight at its assignment, and y (1 = bad)."""

    arm: Arm
    weight: float
    y: int


class MetricEvidence(BaseModel):
    """What is known of one metric. ``log_abort`` and ``log_promote`` hold ln E for each of ``ODDS_RATIOS``.

    The peaks are the largest ln E so far: Ville's inequality bounds them, so what was once proven stays proven.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stable_units: int = 0
    stable_bad: int = 0
    canary_units: int = 0
    canary_bad: int = 0
    log_abort: tuple[float, ...] = (0.0,) * len(ODDS_RATIOS)
    log_promote: tuple[float, ...] = (0.0,) * len(ODDS_RATIOS)
    peak_abort: float = 0.0
    peak_promote: float = 0.0

    @property
    def e_abort(self) -> float:
        """Evidence that the canary is worse than delta allows."""
        return e_value(self.log_abort)

    @property
    def e_promote(self) -> float:
        """Evidence that the canary is not worse by delta."""
        return e_value(self.log_promote)


class SplitEvidence(BaseModel):
    """What is known of the split: ln E for each of ``SPLIT_ODDS_RATIOS``, and the largest so far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log_e: tuple[float, ...] = (0.0,) * len(SPLIT_ODDS_RATIOS)
    peak: float = 0.0


def fold(evidence: MetricEvidence, batch: Sequence[Outcome], delta: float) -> MetricEvidence:
    """Take in one batch, in which the guesses are frozen: they depend on earlier batches only (predictable).

    θ_s is stable's running mean, with a Beta(0.5, 1.5) prior, moved by the margin; θ_c has ``ODDS_RATIOS`` times its
    odds to abort, and one over that to promote. An average of test supermartingales is one again.
    """
    stable = with_margin((_PRIOR_BAD + evidence.stable_bad) / (_PRIOR_UNITS + evidence.stable_units), delta)
    worse = [times_odds(stable, ratio) for ratio in ODDS_RATIOS]
    better = [times_odds(stable, 1 / ratio) for ratio in ODDS_RATIOS]
    log_abort = _grown(evidence.log_abort, batch, stable, worse, delta)
    log_promote = _grown(evidence.log_promote, batch, stable, better, delta)
    of_canary = [o.y for o in batch if o.arm == "canary"]
    of_stable = [o.y for o in batch if o.arm == "stable"]
    return MetricEvidence(
        stable_units=evidence.stable_units + len(of_stable),
        stable_bad=evidence.stable_bad + sum(of_stable),
        canary_units=evidence.canary_units + len(of_canary),
        canary_bad=evidence.canary_bad + sum(of_canary),
        log_abort=log_abort,
        log_promote=log_promote,
        peak_abort=max(evidence.peak_abort, log_mean_exp(log_abort)),
        peak_promote=max(evidence.peak_promote, log_mean_exp(log_promote)),
    )


def fold_split(evidence: SplitEvidence, units: Iterable[tuple[Arm, float]]) -> SplitEvidence:
    """Take in units as (arm, declared weight): the likelihood ratio of a split with other odds to the declared one.

    Each unit's ratio has mean 1 if it was in the canary with the declared probability, so the product is a test
    martingale (Lindon, Malek, arXiv 2011.03567, with fixed alternatives). Weights of 0 and 1 say nothing.
    """
    logs = list(evidence.log_e)
    for arm, weight in units:
        if not 0 < weight < 1:
            continue
        for i, ratio in enumerate(SPLIT_ODDS_RATIOS):
            other = times_odds(weight, ratio)
            logs[i] += math.log(other / weight if arm == "canary" else (1 - other) / (1 - weight))
    return SplitEvidence(log_e=tuple(logs), peak=max(evidence.peak, log_mean_exp(logs)))


def log_e(outcome: Outcome, stable: float, canary: float, delta: float) -> float:
    """ln e of one observation; ``stable`` and ``canary`` are the guesses θ_s (margin included) and θ_c, in (0, 1)."""
    mixed = (1 - outcome.weight) * stable + outcome.weight * canary
    own, y = (canary, float(outcome.y)) if outcome.arm == "canary" else (stable, with_margin(outcome.y, delta))
    return math.log(y * own / mixed + (1 - y) * (1 - own) / (1 - mixed))


def with_margin(value: float, delta: float) -> float:
    """An outcome or a mean of stable, moved by the margin: value + (1 - value)·delta."""
    return value + (1 - value) * delta


def times_odds(probability: float, ratio: float) -> float:
    """The probability whose odds are ``ratio`` times those of ``probability``, which is in (0, 1)."""
    odds = ratio * probability / (1 - probability)
    return odds / (1 + odds)


def threshold(alpha: float) -> float:
    """Ville's threshold for E at level ``alpha``."""
    return 1 / alpha


def log_mean_exp(logs: Sequence[float]) -> float:
    """ln of the average of e to the ``logs``, without overflow."""
    largest = max(logs)
    return largest + math.log(sum(math.exp(value - largest) for value in logs) / len(logs))


def e_value(logs: Sequence[float]) -> float:
    """The averaged e-value, at most 1e300 so that it stays a JSON number."""
    return math.exp(min(log_mean_exp(logs), math.log(_LARGEST)))


def _grown(
    logs: Sequence[float], batch: Sequence[Outcome], stable: float, guesses: Sequence[float], delta: float
) -> tuple[float, ...]:
    return tuple(
        total + math.fsum(log_e(outcome, stable, canary, delta) for outcome in batch)
        for total, canary in zip(logs, guesses, strict=True)
    )
