"""What a rollout can decide with the users there are: the shipped statistics and policy on simulated ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serin.core.errors import UsageError
from serin.core.params import Metric, RolloutParams
from serin.rollout.eprocess import MetricEvidence, Outcome, fold, threshold, with_margin
from serin.rollout.fleet import ABORTED, PROMOTED
from serin.rollout.simulation import Endings, Rates, simulate

DAY_S = 86_400.0
_LOOKS_AHEAD = 10
_UNITS_A_BATCH = 20
_GROWTH = 0.02


@dataclass(frozen=True, slots=True)
class Forecast:
    """How one case would end. Units are the canary's, times in seconds, each as (median, 90 %); inf: not foreseen."""

    metric: Metric | None
    """None where all metrics are taken together."""
    stable_bad: float
    canary_bad: float
    decision: int
    in_time: float
    """Chance of this decision, on evidence, within ``max_time_s``."""
    wrongly: float
    """Chance of the opposite decision within it."""
    units: tuple[float, float]
    seconds: tuple[float, float]


def usual_rates(params: RolloutParams) -> dict[Metric, tuple[float, float]]:
    """What to plan with where nobody knows better: stable's bad share, and three times it or twice what delta allows."""
    stable: dict[Metric, float] = {
        "error": 0.01,
        "ttft": 1 - params.ttft_quantile,
        "tpot": 1 - params.tpot_quantile,
        "feedback": 0.05,
    }
    return {
        name: (stable[name], min(0.99, max(3 * stable[name], 2 * with_margin(stable[name], metric.delta))))
        for name, metric in params.metrics.items()
    }


def forecasts(
    params: RolloutParams, users_a_day: float, rates: Rates, rollouts: int = 400, seed: int = 1
) -> list[Forecast]:
    """For each metric, a canary with the given rates that has to be caught and an equal one that has to be proven.

    ``rates`` has for each metric of ``params`` the bad share of stable and that of the worse canary. The last forecast
    is of a canary that equals stable in all metrics, which the rollout would promote.

    Raises:
        UsageError: no users, or a canary that is not worse than delta allows, so that there is nothing to catch.
    """
    if not users_a_day > 0:
        raise UsageError(f"{users_a_day:g} users a day: expected more than 0")
    for name, (stable, worse) in rates.items():
        allowed = with_margin(stable, params.metrics[name].delta)
        if not (0 <= stable < 1 and allowed < worse <= 1):
            raise UsageError(
                f"{name}={stable:g}:{worse:g}: expected two shares of bad outcomes, the second above {allowed:g}, which delta "
                f"= {params.metrics[name].delta:g} allows; give a worse canary, or lower rollout.metrics.{name}.delta"
            )
    asked = []
    for name, (stable, worse) in rates.items():
        alone = _alone(params, name)
        asked.append(_forecast(alone, name, {name: (stable, worse)}, ABORTED, users_a_day, rollouts, seed))
        asked.append(_forecast(alone, name, {name: (stable, stable)}, PROMOTED, users_a_day, rollouts, seed))
    equal = {name: (stable, stable) for name, (stable, _) in rates.items()}
    return [*asked, _forecast(params, None, equal, PROMOTED, users_a_day, rollouts, seed)]


def warnings(params: RolloutParams, users_a_day: float, told: Sequence[Forecast]) -> list[str]:
    """What these users cannot decide in time, and what could be changed."""
    found = []
    for forecast in told:
        if forecast.in_time >= 0.9:
            continue
        what = "prove all metrics" if forecast.metric is None else _what(forecast)
        change = (
            "raise its delta or the weights"
            if forecast.decision == PROMOTED
            else "lower its delta or raise the weights"
        )
        enough = forecast.seconds[1] / params.max_time_s * users_a_day
        most = (
            f"about {enough:,.0f} users a day could"
            if math.isfinite(enough)
            else "no foreseeable number of users could"
        )
        found.append(
            f"{users_a_day:,.0f} users a day {what} within rollout.max_time_s = {params.max_time_s:g} in only "
            f"{forecast.in_time:.0%} of rollouts, expected 90 %: {most}; {change}, or give it more time"
        )
    return found


def least_units(params: RolloutParams, most: int = 100_000) -> dict[str, int | None]:
    """For each metric, the canary units after which it can promote if every outcome of both arms is good.

    Found by running the e-process at the schedule's weights, ``min_units`` at each step but the last below 1; None
    where ``most`` units are not enough. More are needed where canary outcomes are bad.
    """
    limit = math.log(threshold(params.alpha_promote))
    weights = [weight for weight in params.weights if weight < 1]
    found: dict[str, int | None] = {}
    for name, metric in params.metrics.items():
        evidence = MetricEvidence()
        stable_due = 0.0
        while evidence.peak_promote < limit and evidence.canary_units < most:
            weight = weights[min(evidence.canary_units // params.min_units, len(weights) - 1)]
            stable_due += (1 - weight) / weight
            batch = [Outcome("canary", weight, 0), *[Outcome("stable", weight, 0)] * int(stable_due)]
            stable_due -= int(stable_due)
            evidence = fold(evidence, batch, metric.delta)
        found[name] = evidence.canary_units if evidence.peak_promote >= limit else None
    return found


def _alone(params: RolloutParams, metric: Metric) -> RolloutParams:
    """The rollout with one metric, at the abort level that it has among the others."""
    return RolloutParams.model_validate(
        {
            **params.model_dump(),
            "metrics": {metric: params.model_dump()["metrics"][metric]},
            "alpha_abort": params.alpha_abort / len(params.metrics),
        }
    )


def _forecast(
    params: RolloutParams,
    metric: Metric | None,
    rates: Rates,
    decision: int,
    users_a_day: float,
    rollouts: int,
    seed: int,
) -> Forecast:
    units_a_second = users_a_day / DAY_S
    patient = params.model_copy(update={"max_time_s": params.max_time_s * _LOOKS_AHEAD})
    batch_s = max(1.0, _UNITS_A_BATCH / units_a_second)
    ended = simulate(patient, lambda _: rates, units_a_second, rollouts, seed, batch_s, _GROWTH)
    median, most = ended.needed(decision, 0.5), ended.needed(decision, 0.9)
    stable, canary = next(iter(rates.values()))
    return Forecast(
        metric=metric,
        stable_bad=stable,
        canary_bad=canary,
        decision=decision,
        in_time=_within(ended, decision, params.max_time_s),
        wrongly=_within(ended, ABORTED if decision == PROMOTED else PROMOTED, params.max_time_s),
        units=(median[0], most[0]),
        seconds=(median[1], most[1]),
    )


def _within(ended: Endings, decision: int, seconds: float) -> float:
    return float(np.mean((ended.decision == decision) & (ended.by_time == 0) & (ended.seconds <= seconds)))


def in_words(forecast: Forecast) -> str:
    """The case in a few words."""
    if forecast.metric is None:
        return "promote a canary that equals stable in all metrics"
    return _what(forecast)


def _what(forecast: Forecast) -> str:
    if forecast.decision == PROMOTED:
        return f"prove {forecast.metric} no worse (an equal canary, {forecast.stable_bad:.2%} bad)"
    return f"catch {forecast.metric} going from {forecast.stable_bad:.2%} to {forecast.canary_bad:.2%} bad"
