"""``serin job``: list, status, follow, logs, stop, resume, delete; render and submit stand beside it."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from serin.cli.cluster import cluster_options, connect, follow_to_the_end, leaving, params_if_any
from serin.cli.job_start import render, submit
from serin.cli.live import tell
from serin.cli.names import OBJECT
from serin.core.task import STAGES

json_option = click.option("--json", "as_json", is_flag=True, help="Print the objects themselves, as JSON.")


@click.group("job")
def command() -> None:
    """Run the stages on a Kubernetes cluster, watch them, and read what they printed.

    A run is a FineTune object; 'kubectl get ft' shows the same ones.
    """


command.add_command(render)
command.add_command(submit)


@command.command("list")
@json_option
@cluster_options
def list_(as_json: bool, namespace: str | None, context: str | None, params_path: Path) -> None:
    """List the runs of a namespace, the newest first."""
    from serin.job.control import list_finetunes
    from serin.job.wording import HEADERS, row_of, table

    cluster = connect(params_if_any(params_path), namespace, context)
    found = list_finetunes(cluster)
    if as_json:
        _print(found)
        return
    if not found:
        click.echo(f"no FineTune is in {cluster.namespace}: 'serin job submit' starts one", err=True)
        return
    now = datetime.now(UTC)
    for line in table([HEADERS, *(row_of(one, now).cells() for one in found)]):
        click.echo(line)


@command.command()
@click.argument("name", type=OBJECT)
@json_option
@cluster_options
def status(name: str, as_json: bool, namespace: str | None, context: str | None, params_path: Path) -> None:
    """Tell how run NAME stands, what it took, and what to do next."""
    from serin.job.control import find
    from serin.job.wording import described

    found = find(connect(params_if_any(params_path), namespace, context), name)
    if as_json:
        _print(found)
        return
    for line in described(found, datetime.now(UTC)):
        click.echo(line)


@command.command()
@click.argument("name", type=OBJECT)
@cluster_options
def follow(name: str, namespace: str | None, context: str | None, params_path: Path) -> None:
    """Show run NAME live until it ends, and end with its exit code. Ctrl-C leaves it running."""
    follow_to_the_end(connect(params_if_any(params_path), namespace, context), name)


@command.command()
@click.argument("name", type=OBJECT)
@click.option("--stage", type=click.Choice(STAGES), help="[default: the newest that has begun]")
@click.option("--attempt", metavar="N|POD", help="Its number from 1, or its pod.  [default: the newest]")
@click.option("--rank", type=click.IntRange(min=0), metavar="R", help="Of several nodes only this one, from 0.")
@click.option("--follow", "-f", "follows", is_flag=True, help="Go on with what comes, through all attempts and stages.")
@cluster_options
def logs(
    name: str,
    stage: str | None,
    attempt: str | None,
    rank: int | None,
    follows: bool,
    namespace: str | None,
    context: str | None,
    params_path: Path,
) -> None:
    """Print what the pods of run NAME printed: from the pod while it lives, and from storage at any time.

    Of nodes that train together each line has its node's rank before it, in brackets.

    Of a run that was deleted too, where it stored what this project's params name.
    """
    from serin.clients.kubernetes.kinds import FINE_TUNES
    from serin.clients.storage import open_storage
    from serin.job.attempts import check_stage, left_by
    from serin.job.control import find
    from serin.job.finetune import run_in
    from serin.job.logs import Logs

    params = params_if_any(params_path)
    cluster = connect(params, namespace, context)
    finetune = cluster.get(FINE_TUNES, name)
    if (
        finetune is None
        and params is not None
        and (left := left_by(name, cluster.namespace, open_storage(params.storage)))
    ):
        tell(f"{name} was deleted; this is what it left in {params.storage.url}")
        finetune, storage = left, open_storage(params.storage)
    else:
        finetune = finetune or find(cluster, name)
        storage = open_storage(run_in(finetune).params.storage)
    chosen = check_stage(finetune, stage) if stage is not None else None
    shown = Logs(cluster, storage, _write, tell)
    if follows:
        with leaving(name):
            shown.follow(finetune, chosen, attempt, rank)
    elif not shown.show(finetune, chosen, attempt, rank):
        click.echo(f"{name} has printed nothing yet: 'serin job status {name}' says how it stands", err=True)


@command.command()
@click.argument("name", type=OBJECT)
@cluster_options
def stop(name: str, namespace: str | None, context: str | None, params_path: Path) -> None:
    """Suspend run NAME: it saves a checkpoint, and holds no GPU until it is resumed."""
    from serin.job.control import suspend

    click.echo(suspend(connect(params_if_any(params_path), namespace, context), name, stop=True))


@command.command()
@click.argument("name", type=OBJECT)
@cluster_options
def resume(name: str, namespace: str | None, context: str | None, params_path: Path) -> None:
    """Let a suspended run NAME go on from its newest checkpoint."""
    from serin.job.control import suspend

    click.echo(suspend(connect(params_if_any(params_path), namespace, context), name, stop=False))


@command.command()
@click.argument("name", type=OBJECT)
@click.option("--yes", is_flag=True, help="Do not ask.")
@cluster_options
def delete(name: str, yes: bool, namespace: str | None, context: str | None, params_path: Path) -> None:
    """Delete run NAME with its Jobs and pods. What it stored stays in storage."""
    from serin.job.control import delete, find
    from serin.job.finetune import run_in
    from serin.job.wording import phase_of

    cluster = connect(params_if_any(params_path), namespace, context)
    found = find(cluster, name)
    stays = f"results, logs and checkpoints stay in {run_in(found).params.storage.url}"
    if not yes and not click.confirm(
        f"{name} in {cluster.namespace} is {phase_of(found).lower()}; {stays}. Delete it?"
    ):
        click.echo(f"{name} is not deleted", err=True)
        sys.exit(1)
    delete(cluster, name, found["metadata"]["uid"])
    click.echo(f"{name} is deleted; {stays}")


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _print(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
