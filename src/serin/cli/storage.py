"""``serin storage``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option


@click.command("storage")
@params_option
def command(params_path: Path) -> None:
    """Point DVC at the storage that params.yaml names, so that 'dvc push' and 'dvc pull' use it."""
    from serin.clients.dvc import set_remote

    params = load_params(params_path)
    click.echo(f"DVC's remote is {set_remote(Path.cwd(), params.storage)}")
