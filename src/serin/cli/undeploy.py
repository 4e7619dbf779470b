"""``serin undeploy``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.serving import serving_state, state_option, tell


@click.command("undeploy")
@click.argument("revision")
@params_option
@state_option
@click.option("--force", is_flag=True, help="Also take it out of the rollout, experiment or shadow that uses it.")
def command(revision: str, params_path: Path, state: Path, force: bool) -> None:
    """Take a deployed REVISION away once it has answered what it was asked; no request fails."""
    params = load_params(params_path)

    from serin.core.revision import Revision
    from serin.serve.topology.undeploy import find_deployed, undeploy

    serving = serving_state(params, state)
    found = find_deployed(Revision.parse(revision), serving)
    undeploy(params.serve, found, serving, force=force, tell=tell)
    click.echo(f"{found} is gone")
