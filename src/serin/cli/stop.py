"""``serin stop``."""

from pathlib import Path

import click

from serin.cli.serving import state_option


@click.command("stop")
@state_option
@click.option(
    "--timeout", "timeout_s", type=float, default=30.0, show_default=True, help="Seconds before it is killed."
)
@click.option("--forget", is_flag=True, help="Also forget what was deployed; the next revision deployed is stable.")
def command(state: Path, timeout_s: float, forget: bool) -> None:
    """Stop serving, and every process that belongs to it."""
    from serin.clients.serving_state import FolderState
    from serin.serve.local.supervisor import stop

    serving = FolderState(state)
    served = serving.supervisor() is not None
    left = stop(serving, timeout_s, lambda line: click.echo(f"stop: {line}", err=True))
    if forget:
        serving.forget_revisions()
    if not served:
        click.echo(f"nothing is served from {state}")
    else:
        click.echo("stopped" + (f", and ended {left} processes that were left over" if left else ""))
