"""``serin demo``."""

from pathlib import Path

import click

from serin.cli.options import load_params


@click.command("demo")
def command() -> None:
    """Take the example from data to production: pipeline, a canary that is promoted, and one that is sent back.

    Run it at the root of the repository. It writes reports/demo.html and reports/demo.json, and exits 3 where a rollout
    was not decided as expected or a client saw an error.
    """
    from serin.core.errors import ConfigError, GateError
    from serin.demo import run as demo
    from serin.demo.report import table

    folder = Path.cwd()
    if not (folder / demo.DEMO_PIPELINE).is_file():
        raise ConfigError(f"{folder} has no {demo.DEMO_PIPELINE}: run the demo at the root of Serin's repository")
    figures = demo.run(folder, load_params(folder / "params.yaml").serve)
    click.echo(f"\n{table(figures)}\n\nreport: {demo.REPORTS / 'demo.html'}")
    if faults := demo.unexpected(figures):
        raise GateError("; ".join(faults))
