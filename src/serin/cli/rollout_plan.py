"""``serin rollout plan``: what a rollout could decide with the users there are, before it is started."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serin.cli.options import load_params, params_option

if TYPE_CHECKING:
    from serin.core.params import Metric, RolloutParams

_HOUR_S, _DAY_S = 3600.0, 86_400.0


@click.command("plan")
@click.option("--users-per-day", type=float, required=True, help="Users (units) a day, of stable and canary together.")
@click.option(
    "--rates",
    "given",
    multiple=True,
    metavar="METRIC=STABLE:CANARY",
    help="Shares of bad outcomes to plan with, such as error=0.01:0.03; once for each metric that you know.",
)
@params_option
def command(users_per_day: float, given: tuple[str, ...], params_path: Path) -> None:
    """Say how many users and how long until a worse canary would be caught, and an equal one proven."""
    params = load_params(params_path).rollout

    from serin.rollout.planning import forecasts, in_words, usual_rates, warnings

    rates = {**usual_rates(params), **_rates(given, params)}
    told = forecasts(params, users_per_day, rates)
    click.echo(f"{users_per_day:,.0f} users a day; canary weights {', '.join(f'{w:g}' for w in params.weights)}")
    click.echo(f"{'':<66}{'in time':>8}  {'canary users':>17}  {'time':>17}")
    click.echo(f"{'':<66}{'':>8}  {'median':>8}{'90 %':>9}  {'median':>8}{'90 %':>9}")
    for forecast in told:
        units = "".join(f"{_count(n):>{width}}" for n, width in zip(forecast.units, (8, 9), strict=True))
        times = "".join(f"{_time(s):>{width}}" for s, width in zip(forecast.seconds, (8, 9), strict=True))
        click.echo(f"{in_words(forecast):<66}{forecast.in_time:>8.0%}  {units}  {times}")
    for warning in warnings(params, users_per_day, told):
        click.echo(f"warning: {warning}", err=True)


def _rates(given: tuple[str, ...], params: "RolloutParams") -> "dict[Metric, tuple[float, float]]":
    found: dict[Metric, tuple[float, float]] = {}
    for text in given:
        name, _, both = text.partition("=")
        known = next((metric for metric in params.metrics if metric == name), None)
        try:
            stable, canary = (float(part) for part in both.split(":"))
        except ValueError:
            raise click.BadParameter(f"{text!r}: expected METRIC=STABLE:CANARY, such as error=0.01:0.03") from None
        if known is None:
            raise click.BadParameter(f"{text!r}: params compare {', '.join(params.metrics)}")
        found[known] = (stable, canary)
    return found


def _count(units: float) -> str:
    return f"{units:,.0f}" if math.isfinite(units) else "-"


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "-"
    if seconds >= 2 * _DAY_S:
        return f"{seconds / _DAY_S:.1f} d"
    return f"{seconds / _HOUR_S:.1f} h" if seconds >= _HOUR_S else f"{seconds / 60:.0f} min"
