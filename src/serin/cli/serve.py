"""``serin serve``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.serving import state_option


@click.command("serve")
@params_option
@state_option
@click.option("--detach", is_flag=True, help="Go on in the background once everything is ready.")
def command(params_path: Path, state: Path, detach: bool) -> None:
    """Start the gateway and every revision that has been deployed."""
    params = load_params(params_path)

    from serin.clients.serving_state import FolderState

    serving = FolderState(state)
    if detach:
        from serin.serve.local.detach import start_detached

        info = start_detached(params_path, serving, _tell)
        click.echo(f"serving at {info.url}/v1 as process {info.pid}; stop with 'serin stop'")
        return
    from serin.serve.local.supervisor import supervise

    supervise(params.serve, params.storage, serving, _tell)


def _tell(line: str) -> None:
    click.echo(f"serve: {line}", err=True)
