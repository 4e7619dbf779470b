"""Many rollouts at once, as arrays: what ``eprocess`` and ``policy`` do to one, for plans and for proofs by simulation.

The first axis of every array is the rollout. Tests hold each of these against the functions that production runs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.core.params import Metric, RolloutParams
from serin.rollout.eprocess import (
    BETTER,
    PRIOR_BAD,
    PRIOR_UNITS,
    SPLIT_ALPHA,
    SPLIT_ODDS_RATIOS,
    WORSE,
    Guess,
    threshold,
)

Array = NDArray[Any]

RUNNING, PROMOTED, ABORTED = 0, 1, 2
"""``Fleet.decision``."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Units of one batch and metric in each arm, and the bad ones among them."""

    stable: Array
    stable_bad: Array
    canary: Array
    canary_bad: Array


@dataclass(frozen=True, slots=True)
class FleetEvidence:
    """``MetricEvidence`` of many rollouts; the guesses lie along the second axis."""

    stable_units: Array
    stable_bad: Array
    canary_units: Array
    canary_bad: Array
    log_abort: Array
    log_promote: Array
    peak_abort: Array
    peak_promote: Array

    @classmethod
    def empty(cls, rollouts: int) -> "FleetEvidence":
        """Before anything is seen."""
        lengths = {"log_abort": (rollouts, len(WORSE)), "log_promote": (rollouts, len(BETTER))}
        return cls(**{f.name: np.zeros(lengths.get(f.name, (rollouts,))) for f in fields(cls)})


def fold_many(evidence: FleetEvidence, batch: Counts, weight: Array, delta: float) -> FleetEvidence:
    """``eprocess.fold`` for one batch of each rollout, whose units were all assigned at its ``weight``."""
    mean = (PRIOR_BAD + evidence.stable_bad) / (PRIOR_UNITS + evidence.stable_units)
    moved = mean + (1 - mean) * delta
    log_abort = evidence.log_abort + _growth(batch, weight, moved, moved, WORSE, delta)
    log_promote = evidence.log_promote + _growth(batch, weight, moved, mean, BETTER, delta)
    return FleetEvidence(
        stable_units=evidence.stable_units + batch.stable,
        stable_bad=evidence.stable_bad + batch.stable_bad,
        canary_units=evidence.canary_units + batch.canary,
        canary_bad=evidence.canary_bad + batch.canary_bad,
        log_abort=log_abort,
        log_promote=log_promote,
        peak_abort=np.maximum(evidence.peak_abort, _log_mix(log_abort, [guess.share for guess in WORSE])),
        peak_promote=np.maximum(evidence.peak_promote, _log_mix(log_promote, [guess.share for guess in BETTER])),
    )


@dataclass(slots=True)
class Fleet:
    """Rollouts with the same params, from time 0; those that ended stay as they were."""

    params: RolloutParams
    metrics: dict[Metric, FleetEvidence]
    log_split: Array
    peak_split: Array
    step: Array
    step_started_s: Array
    step_units: Array
    decision: Array
    by_time: Array
    """Whether the time was up, and not the evidence decided."""
    ended_s: Array
    _weights: Array = field(init=False)
    _holds_s: Array = field(init=False)

    def __post_init__(self) -> None:
        self._weights = np.array(self.params.weights)
        self._holds_s = np.array([self.params.hold_at_s(step) for step in range(len(self.params.steps))])

    @classmethod
    def start(cls, params: RolloutParams, rollouts: int) -> "Fleet":
        """At the first step."""
        return cls(
            params=params,
            metrics={name: FleetEvidence.empty(rollouts) for name in params.metrics},
            log_split=np.zeros((rollouts, len(SPLIT_ODDS_RATIOS))),
            peak_split=np.zeros(rollouts),
            step=np.zeros(rollouts, dtype=np.int64),
            step_started_s=np.zeros(rollouts),
            step_units=np.zeros(rollouts),
            decision=np.full(rollouts, RUNNING),
            by_time=np.zeros(rollouts, dtype=np.bool_),
            ended_s=np.full(rollouts, math.inf),
        )

    @property
    def weight(self) -> Array:
        """The canary's share in each rollout now; that of the last step for one that has ended."""
        weights: Array = self._weights[np.minimum(self.step, len(self._weights) - 2)]
        return weights

    @property
    def running(self) -> Array:
        """Which are undecided."""
        undecided: Array = self.decision == RUNNING
        return undecided

    @property
    def units(self) -> tuple[Array, Array]:
        """Counted units of stable and of the canary; every metric has the same ones."""
        evidence = next(iter(self.metrics.values()))
        return evidence.stable_units, evidence.canary_units

    def take_in(self, batch: Mapping[Metric, Counts], weight: Array) -> None:
        """Fold one batch, assigned at ``weight``; ``batch`` has every metric with the same units."""
        running = self.running
        for name, evidence in self.metrics.items():
            grown = fold_many(evidence, batch[name], weight, self.params.metrics[name].delta)
            self.metrics[name] = _where(running, grown, evidence)
        units = next(iter(batch.values()))
        log_split = self.log_split + _split_growth(units.stable, units.canary, weight)
        self.log_split = np.where(running[:, None], log_split, self.log_split)
        shares = [1 / len(SPLIT_ODDS_RATIOS)] * len(SPLIT_ODDS_RATIOS)
        self.peak_split = np.maximum(self.peak_split, _log_mix(self.log_split, shares))
        at_step = running & np.isclose(weight, self.weight)
        self.step_units = self.step_units + np.where(at_step, units.canary, 0.0)

    def decide(self, now_s: float) -> None:
        """``policy.step`` without observations, for rollouts whose warm-up is over and whose canary has its replicas."""
        params = self.params
        evidence = self.metrics.values()
        abort_at = math.log(threshold(params.alpha_abort / len(self.metrics)))
        promote_at = math.log(threshold(params.alpha_promote))
        worse = np.logical_or.reduce([e.peak_abort >= abort_at for e in evidence])
        worse |= self.peak_split >= math.log(threshold(SPLIT_ALPHA))
        proven = np.logical_and.reduce([e.peak_promote >= promote_at for e in evidence])
        last = self.step == len(self._weights) - 2
        held = (now_s - self.step_started_s >= self._holds_s[self.step]) & (self.step_units >= params.min_units)
        held &= ~last | (now_s >= params.min_time_s)
        late = np.full_like(held, now_s >= params.max_time_s)
        goes_on = params.undecided == "promote"
        exposed = self.units[1] >= params.min_units

        running = self.running
        advance = running & ~worse & held & ~last
        promote = running & ~worse & held & last & proven
        out_of_time = running & ~worse & ~advance & ~promote & late
        self._end(running & worse, ABORTED, now_s)
        self._end(promote, PROMOTED, now_s)
        self._end(out_of_time & exposed & goes_on, PROMOTED, now_s)
        self._end(out_of_time & ~(exposed & goes_on), ABORTED, now_s)
        self.by_time |= out_of_time
        self.step = self.step + advance
        self.step_started_s = np.where(advance, now_s, self.step_started_s)
        self.step_units = np.where(advance, 0.0, self.step_units)

    def subset(self, which: Array) -> "Fleet":
        """Some of the rollouts."""
        arrays = {
            f.name: getattr(self, f.name)[which] for f in fields(self) if f.init and f.name not in ("params", "metrics")
        }
        return Fleet(self.params, {name: _chosen(which, e) for name, e in self.metrics.items()}, **arrays)

    def _end(self, which: Array, decision: int, now_s: float) -> None:
        self.decision = np.where(which, decision, self.decision)
        self.ended_s = np.where(which, now_s, self.ended_s)


def _where(which: Array, new: FleetEvidence, old: FleetEvidence) -> FleetEvidence:
    """``new`` where it says so and ``old`` elsewhere."""
    values: dict[str, Array] = {}
    for f in fields(FleetEvidence):
        value: Array = getattr(new, f.name)
        values[f.name] = np.where(which if value.ndim == 1 else which[:, None], value, getattr(old, f.name))
    return FleetEvidence(**values)


def _chosen(which: Array, evidence: FleetEvidence) -> FleetEvidence:
    return FleetEvidence(**{f.name: getattr(evidence, f.name)[which] for f in fields(FleetEvidence)})


def _growth(
    batch: Counts, weight: Array, stable: Array, base: Array, guesses: tuple[Guess, ...], delta: float
) -> Array:
    """The sum of ``eprocess.log_e`` over the batch, for each guess of the canary: its ratio times the odds of ``base``."""
    ratios = np.array([guess.ratio for guess in guesses])
    of_base = base[:, None]
    canary = ratios * of_base / (1 - of_base + ratios * of_base)
    own, share = stable[:, None], weight[:, None]
    mixed = (1 - share) * own + share * canary
    stable_good = np.log(delta * own / mixed + (1 - delta) * (1 - own) / (1 - mixed))
    grown: Array = (
        batch.canary_bad[:, None] * np.log(canary / mixed)
        + (batch.canary - batch.canary_bad)[:, None] * np.log((1 - canary) / (1 - mixed))
        + batch.stable_bad[:, None] * np.log(own / mixed)
        + (batch.stable - batch.stable_bad)[:, None] * stable_good
    )
    return grown


def _split_growth(stable: Array, canary: Array, weight: Array) -> Array:
    ratios = np.array(SPLIT_ODDS_RATIOS)
    share = weight[:, None]
    ratio_stable = 1 / (1 + share * (ratios - 1))
    grown: Array = canary[:, None] * np.log(ratios * ratio_stable) + stable[:, None] * np.log(ratio_stable)
    return grown


def _log_mix(logs: Array, shares: list[float]) -> Array:
    largest = logs.max(axis=1)
    mixed: Array = largest + np.log(np.exp(logs - largest[:, None]) @ np.array(shares))
    return mixed
