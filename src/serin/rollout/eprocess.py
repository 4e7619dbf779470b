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

docs/rollout-statistics.md derives this step by step, and why the guesses are what they are.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Arm = Literal["stable", "canary"]


class Guess(NamedTuple):
    """A guessed effect: the canary's odds of a bad outcome are ``ratio`` times some odds; ``share`` of E is put on it."""

    ratio: float
    share: float


WORSE = (Guess(1.5, 0.175), Guess(2.5, 0.35), Guess(5.0, 0.25), Guess(15.0, 0.125), Guess(100.0, 0.1))
"""Against the canary, times the odds at the margin: most on some two to five, the rest from hardly to utterly worse."""
BETTER = (Guess(1.0, 0.65), Guess(0.6, 0.18), Guess(0.25, 0.11), Guess(0.03, 0.06))
"""For the canary, times the odds of stable without margin: most on its being equal, which is what a sound canary is."""
SPLIT_ODDS_RATIOS = (0.5, 0.8, 1.25, 2.0)
"""Guessed faults of a split: how far the true odds of the canary are from the declared ones, with equal shares."""
SPLIT_ALPHA = 0.001
"""Chance of calling a sound split broken."""
PRIOR_BAD, PRIOR_UNITS = 0.5, 2.0
"""Stable's mean before anything is seen: half a bad outcome in two units."""
_LARGEST = 1e300
_SPLIT_SHARES = (1 / len(SPLIT_ODDS_RATIOS),) * len(SPLIT_ODDS_RATIOS)
_WORSE_SHARES = tuple(guess.share for guess in WORSE)
_BETTER_SHARES = tuple(guess.share for guess in BETTER)

LogsWorse = Annotated[tuple[float, ...], Field(min_length=len(WORSE), max_length=len(WORSE))]
LogsBetter = Annotated[tuple[float, ...], Field(min_length=len(BETTER), max_length=len(BETTER))]
LogsSplit = Annotated[tuple[float, ...], Field(min_length=len(SPLIT_ODDS_RATIOS), max_length=len(SPLIT_ODDS_RATIOS))]


class Outcome(NamedTuple):
    """One unit in one metric: its arm, the canary's weight at its assignment, and y (1 = bad)."""

    arm: Arm
    weight: float
    y: int


class MetricEvidence(BaseModel):
    """What is known of one metric: ``log_abort`` holds ln E for each guess of ``WORSE``, ``log_promote`` of ``BETTER``.

    The peaks are the largest ln E so far: Ville's inequality bounds them, so what was once proven stays proven.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stable_units: int = 0
    stable_bad: int = 0
    canary_units: int = 0
    canary_bad: int = 0
    log_abort: LogsWorse = (0.0,) * len(WORSE)
    log_promote: LogsBetter = (0.0,) * len(BETTER)
    peak_abort: float = 0.0
    peak_promote: float = 0.0

    @property
    def e_abort(self) -> float:
        """Evidence that the canary is worse than delta allows."""
        return e_value(self.log_abort, _WORSE_SHARES)

    @property
    def e_promote(self) -> float:
        """Evidence that the canary is not worse by delta."""
        return e_value(self.log_promote, _BETTER_SHARES)


class SplitEvidence(BaseModel):
    """What is known of the split: ln E for each of ``SPLIT_ODDS_RATIOS``, and the largest so far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    log_e: LogsSplit = (0.0,) * len(SPLIT_ODDS_RATIOS)
    peak: float = 0.0

    @property
    def e(self) -> float:
        """Evidence that units do not fall on the arms as the weights say."""
        return e_value(self.log_e, _SPLIT_SHARES)


def fold(evidence: MetricEvidence, batch: Sequence[Outcome], delta: float) -> MetricEvidence:
    """Take in one batch, in which the guesses are frozen: they depend on earlier batches only (predictable).

    Outcomes of a batch are exchangeable, so equal ones are counted and each kind is valued once. An average of test
    supermartingales by shares fixed beforehand is one again.
    """
    stable, worse, better = guesses(evidence.stable_bad, evidence.stable_units, delta)
    counts = Counter(batch)
    log_abort = _grown(evidence.log_abort, counts, stable, worse, delta)
    log_promote = _grown(evidence.log_promote, counts, stable, better, delta)
    of_canary = [outcome.y for outcome in batch if outcome.arm == "canary"]
    of_stable = [outcome.y for outcome in batch if outcome.arm == "stable"]
    return MetricEvidence(
        stable_units=evidence.stable_units + len(of_stable),
        stable_bad=evidence.stable_bad + sum(of_stable),
        canary_units=evidence.canary_units + len(of_canary),
        canary_bad=evidence.canary_bad + sum(of_canary),
        log_abort=log_abort,
        log_promote=log_promote,
        peak_abort=max(evidence.peak_abort, log_mix(log_abort, _WORSE_SHARES)),
        peak_promote=max(evidence.peak_promote, log_mix(log_promote, _BETTER_SHARES)),
    )


def guesses(stable_bad: int, stable_units: int, delta: float) -> tuple[float, list[float], list[float]]:
    """θ_s with the margin, and θ_c for each of ``WORSE`` and ``BETTER``, from the stable units seen so far."""
    mean = (PRIOR_BAD + stable_bad) / (PRIOR_UNITS + stable_units)
    moved = with_margin(mean, delta)
    worse = [times_odds(moved, guess.ratio) for guess in WORSE]
    better = [times_odds(mean, guess.ratio) for guess in BETTER]
    return moved, worse, better


def fold_split(evidence: SplitEvidence, units: Iterable[tuple[Arm, float]]) -> SplitEvidence:
    """Take in units as (arm, declared weight): the likelihood ratio of a split with other odds to the declared one.

    Each unit's ratio has mean 1 if it was in the canary with the declared probability, so the product is a test
    martingale (Lindon, Malek, arXiv 2011.03567, with fixed alternatives). Weights of 0 and 1 say nothing.
    """
    counts = Counter((arm, weight) for arm, weight in units if 0 < weight < 1)
    logs = tuple(
        total
        + math.fsum(
            n * math.log(times_odds(weight, ratio) / weight if arm == "canary" else 1 / (1 + weight * (ratio - 1)))
            for (arm, weight), n in counts.items()
        )
        for total, ratio in zip(evidence.log_e, SPLIT_ODDS_RATIOS, strict=True)
    )
    return SplitEvidence(log_e=logs, peak=max(evidence.peak, log_mix(logs, _SPLIT_SHARES)))


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
    return ratio * probability / (1 - probability + ratio * probability)


def threshold(alpha: float) -> float:
    """Ville's threshold for E at level ``alpha``."""
    return 1 / alpha


def log_mix(logs: Sequence[float], shares: Sequence[float]) -> float:
    """ln of the average of e to the ``logs`` by ``shares``, without overflow."""
    largest = max(logs)
    return largest + math.log(
        math.fsum(share * math.exp(value - largest) for value, share in zip(logs, shares, strict=True))
    )


def e_value(logs: Sequence[float], shares: Sequence[float]) -> float:
    """The averaged e-value, at most 1e300 so that it stays a JSON number."""
    return math.exp(min(log_mix(logs, shares), math.log(_LARGEST)))


def _grown(
    logs: Sequence[float], counts: Counter[Outcome], stable: float, canaries: Sequence[float], delta: float
) -> tuple[float, ...]:
    return tuple(
        total + math.fsum(n * log_e(outcome, stable, canary, delta) for outcome, n in counts.items())
        for total, canary in zip(logs, canaries, strict=True)
    )
