"""Rollouts on simulated users, through the shipped statistics and policy: for plans, and for proofs of the claims."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np

from serin.core.params import Metric, RolloutParams
from serin.rollout.fleet import Array, Counts, Fleet

Rates = Mapping[Metric, tuple[float, float]]
"""For each metric the share of bad outcomes in stable and in the canary."""


@dataclass(frozen=True, slots=True)
class Endings:
    """How each rollout ended: ``Fleet.decision``, whether because its time was up, the canary's units, and when."""

    decision: Array
    by_time: Array
    units: Array
    seconds: Array

    def decided(self, decision: int) -> Array:
        """Which ones evidence decided so, as 1 and 0."""
        return np.where((self.decision == decision) & (self.by_time == 0), 1.0, 0.0)

    def needed(self, decision: int, quantile: float) -> tuple[float, float]:
        """Canary units and seconds until that share of all rollouts had been so decided by evidence; inf: it never was."""
        decided = self.decided(decision) == 1
        place = math.ceil(quantile * len(decided)) - 1
        units = np.sort(np.where(decided, self.units, math.inf))
        seconds = np.sort(np.where(decided, self.seconds, math.inf))
        return float(units[place]), float(seconds[place])


def simulate(
    params: RolloutParams,
    rates_at: Callable[[float], Rates],
    units_a_second: float,
    rollouts: int,
    seed: int,
    batch_s: float = 1.0,
    growth: float = 0.0,
) -> Endings:
    """Rollouts from their start to their end; users are a Poisson process, each a unit of its own.

    ``rates_at`` gives the rates at a time in seconds. Outcomes come ``horizon_s`` after the assignment, as they do in
    production, and metrics are independent of each other. Guesses are frozen within a batch, which is of ``batch_s``
    or, where that is longer, of the share ``growth`` of the time so far.
    """
    draw = np.random.default_rng(seed)
    fleet = Fleet.start(params, rollouts)
    place = np.arange(rollouts)
    ended = Endings(np.zeros(rollouts), np.zeros(rollouts), np.zeros(rollouts), np.full(rollouts, math.inf))
    still_open: deque[tuple[float, Array, Mapping[Metric, Counts]]] = deque()
    now_s = params.warmup_s
    while len(place) > 0:
        length_s = max(batch_s, growth * (now_s - params.warmup_s))
        weight = fleet.weight
        batch = _drawn(draw, rates_at(now_s), units_a_second * length_s, weight)
        now_s += length_s
        still_open.append((now_s + params.horizon_s, weight, batch))
        while still_open and still_open[0][0] <= now_s:
            _, assigned_at, closed = still_open.popleft()
            fleet.take_in(closed, assigned_at)
        fleet.decide(now_s)
        running = fleet.running
        if running.mean() < 0.9 or not running.any():
            _keep(ended, fleet, place)
            fleet, place = fleet.subset(running), place[running]
            still_open = deque((at, w[running], _of(batch, running)) for at, w, batch in still_open)
    return ended


def _drawn(draw: np.random.Generator, rates: Rates, units: float, weight: Array) -> dict[Metric, Counts]:
    canary = draw.poisson(units * weight)
    stable = draw.poisson(units * (1 - weight))
    return {
        name: Counts(
            stable=stable.astype(float),
            stable_bad=draw.binomial(stable, of_stable).astype(float),
            canary=canary.astype(float),
            canary_bad=draw.binomial(canary, of_canary).astype(float),
        )
        for name, (of_stable, of_canary) in rates.items()
    }


def _of(batch: Mapping[Metric, Counts], which: Array) -> dict[Metric, Counts]:
    return {name: Counts(*(getattr(c, f.name)[which] for f in fields(Counts))) for name, c in batch.items()}


def _keep(ended: Endings, fleet: Fleet, place: Array) -> None:
    ended.decision[place] = fleet.decision
    ended.by_time[place] = fleet.by_time
    ended.units[place] = fleet.units[1]
    ended.seconds[place] = fleet.ended_s
