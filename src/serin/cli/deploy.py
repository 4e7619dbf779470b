"""``serin deploy``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option


@click.command("deploy")
@click.argument("revision")
@params_option
@click.option("--state", type=click.Path(path_type=Path), default=Path(".serin/serve"), show_default=True)
def command(revision: str, params_path: Path, state: Path) -> None:
    """Bring up a published REVISION (name@digest, or name@ and 8 digits of it) beside the others."""
    params = load_params(params_path)

    from serin.clients.serving_state import FolderState
    from serin.clients.storage import open_storage
    from serin.core.revision import Revision
    from serin.serve.deploy import deploy, find_published

    storage = open_storage(params.storage)
    published = find_published(storage, Revision.parse(revision))
    weights = deploy(params.serve, storage, published, FolderState(state), lambda line: click.echo(line, err=True))
    arm = (
        "stable"
        if weights.stable == str(published.revision)
        else "without traffic; 'serin rollout start' gives it some"
    )
    click.echo(f"{published.revision} is ready, {arm}")
