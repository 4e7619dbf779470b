"""``serin deploy``."""

from pathlib import Path

import click

from serin.cli.options import load_params, params_option
from serin.cli.serving import serving_state, state_option, tell


@click.command("deploy")
@click.argument("revision")
@params_option
@state_option
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of serve.revisions, for this revision alone: replicas=2, gpus=0.5, vllm.max_num_seqs=64. May be repeated.",
)
def command(revision: str, params_path: Path, state: Path, given: tuple[str, ...]) -> None:
    """Bring up a published REVISION (name@digest, or name@ and 8 digits of it) beside the others.

    Deployed again with other replicas or autoscaling, a running one is scaled.
    """
    params = load_params(params_path)

    from serin.clients.storage import open_storage
    from serin.core.revision import Revision
    from serin.serve.topology.deploy import deploy
    from serin.serve.topology.published import find_published
    from serin.serve.topology.settings import settings_with

    settings = settings_with(params.serve.revisions, given)
    storage = open_storage(params.storage)
    published = find_published(storage, Revision.parse(revision))
    weights = deploy(params.serve, settings, storage, published, serving_state(params, state), tell)
    arm = (
        "stable"
        if weights.stable == str(published.revision)
        else "without traffic; 'serin rollout start' gives it some"
    )
    click.echo(f"{published.revision} is ready, {arm}")
