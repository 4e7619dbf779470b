"""``serin rollout history`` and ``report``: what rollouts did, for people who were not there."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from serin.cli.rollout_options import output_option, rollout_argument, rollouts_option

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@rollout_argument
@click.option("--all", "every", is_flag=True, help="Also the steps that only counted users.")
@output_option
@rollouts_option
def history(rollout: str | None, every: bool, output: Literal["text", "json"], rollouts: Path) -> None:
    """List all rollouts, or the steps of one ROLLOUT: what was done, when, why, and by whom if by hand."""
    import json

    from serin.rollout.history import rollout_rows, step_rows
    from serin.rollout.loop import LocalRollouts

    place = LocalRollouts(rollouts)
    rows = rollout_rows(place) if rollout is None else step_rows(place.named(rollout), every)
    if output == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        click.echo("there is no rollout yet: start one with 'serin rollout start REVISION'")
    else:
        _table([list(rows[0]), *([_shown(value) for value in row.values()] for row in rows)])


@click.command()
@rollout_argument
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The page.  [default: reports/rollout-ROLLOUT.html]"
)
@rollouts_option
def report(rollout: str | None, out: Path | None, rollouts: Path) -> None:
    """Write one HTML page about a rollout, by default the newest, also while it runs; it needs no network."""
    from serin.clients.files import write_atomically
    from serin.rollout.loop import LocalRollouts
    from serin.rollout.report import render_report

    store = LocalRollouts(rollouts).named(rollout)
    page = render_report([step for step, _ in store.steps()], time.time())
    path = out or Path("reports") / f"rollout-{store.id}.html"
    write_atomically(path, page.encode())
    click.echo(str(path))


def _shown(value: object) -> str:
    return "" if value is None else str(value)


def _table(rows: "Sequence[Sequence[str]]") -> None:
    """In columns, the last of which is as wide as it is."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())
