"""``serin job``: render, submit, list, status, follow, logs, stop, resume, delete."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from serin.cli.cluster import connect, leaving, params_if_any
from serin.cli.live import live_run, tell
from serin.cli.names import NAMESPACE, OBJECT
from serin.cli.options import load_params, params_option

if TYPE_CHECKING:
    from serin.clients.kubernetes.cluster import Cluster

F = TypeVar("F", bound=Callable[..., Any])

_STAGES = ["train", "merge", "evaluate", "publish"]
_file = click.Path(path_type=Path, dir_okay=False)
stages_option = click.option(
    "--stages", default=",".join(_STAGES), show_default=True, metavar="STAGE,…", help="Which stages, without a gap."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the objects themselves, as JSON.")


def cluster_options(function: F) -> F:
    """Where the run is."""
    for option in (
        params_option,
        click.option(
            "--context", help="Of the kubeconfig.  [default: kubernetes.context of params, or its current one]"
        ),
        click.option(
            "--namespace", "-n", type=NAMESPACE, help="[default: kubernetes.namespace of params, or the context's]"
        ),
    ):
        function = option(function)
    return function


@click.group("job")
def command() -> None:
    """Run the stages on a Kubernetes cluster, watch them, and read what they printed.

    A run is a FineTune object; 'kubectl get ft' shows the same ones.
    """


@command.command()
@click.argument("file", required=False, type=_file)
@click.option("--stage", type=click.Choice(_STAGES), help="Only this stage.")
@click.option("--name", type=OBJECT, help="Of the FineTune.  [default: from its content]")
@stages_option
@click.option("--namespace", "-n", type=NAMESPACE, help="[default: that of FILE or of params, or default]")
@params_option
def render(
    file: Path | None, stage: str | None, name: str | None, stages: str, namespace: str | None, params_path: Path
) -> None:
    """Print what the controller would create for FILE, or for this project, stage by stage. No cluster is asked."""
    from serin.job.manifest import read_manifest
    from serin.job.rendering import rendered, text_of

    if file is not None:
        finetune = read_manifest(file)
        if namespace:
            finetune = finetune | {"metadata": finetune["metadata"] | {"namespace": namespace}}
    else:
        finetune = _of_project(params_path, stages, name, namespace, None)
    only = next((one for one in _STAGES if one == stage), None)
    bodies = rendered(finetune, only)  # type: ignore[arg-type] # click has checked that it is a stage
    click.echo(text_of(bodies, "uid" in finetune["metadata"]), nl=False)


@command.command()
@click.option("-f", "--file", type=_file, help="A FineTune to submit as it is, instead of this project.")
@click.option("--name", type=OBJECT, help="Of the FineTune.  [default: from its content]")
@stages_option
@click.option("--dry-run", is_flag=True, help="Have the API server check the object, print it, and store nothing.")
@click.option("--follow", "follows", is_flag=True, help="Follow it, and end with its exit code.")
@cluster_options
def submit(
    file: Path | None,
    name: str | None,
    stages: str,
    dry_run: bool,
    follows: bool,
    namespace: str | None,
    context: str | None,
    params_path: Path,
) -> None:
    """Put what goes in into storage, as far as it is not there, and start the run.

    Submitted again it is the same run: its name follows from what it computes.
    """
    from serin.core.errors import UsageError
    from serin.job.manifest import read_manifest, yaml_text
    from serin.job.submit import check, submit
    from serin.job.wording import next_steps

    if dry_run and follows:
        raise UsageError("--dry-run starts nothing that --follow could show: leave one out")
    given = None
    if file is not None:
        if name is not None:
            raise UsageError("--name: the file has one already; leave it out")
        given = read_manifest(file)
        namespace = namespace or given["metadata"].get("namespace")
    params = params_if_any(params_path) if file is not None else load_params(params_path)
    cluster = connect(params, namespace, context)
    if given is not None:
        finetune = given | {"metadata": given["metadata"] | {"namespace": cluster.namespace}}
    else:
        finetune = _of_project(params_path, stages, name, cluster.namespace, None if dry_run else _store)
    if dry_run:
        click.echo(yaml_text(check(cluster, finetune)), nl=False)
        return
    present, is_new = submit(cluster, finetune)
    called = present["metadata"]["name"]
    click.echo(f"{called} {'is submitted' if is_new else 'was there already'} in {cluster.namespace}")
    if not follows:
        for line in next_steps(present) if not is_new else [f"next: serin job follow {called}"]:
            click.echo(line)
        return
    _follow(cluster, called)


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
    _follow(connect(params_if_any(params_path), namespace, context), name)


@command.command()
@click.argument("name", type=OBJECT)
@click.option("--stage", type=click.Choice(_STAGES), help="[default: the newest that has begun]")
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


def _of_project(
    params_path: Path,
    stages: str,
    name: str | None,
    namespace: str | None,
    store: Callable[[Any, Any], Any] | None,
) -> dict[str, Any]:
    """The FineTune of this project; its inputs are hashed, and stored by ``store`` where there is one."""
    from serin.job.finetune import check_stages, cluster_of, content_name, finetune_of, run_of, words_needed
    from serin.job.inputs import ARTIFACTS, hash_inputs, places_of

    params = load_params(params_path)
    cluster = cluster_of(params)
    chosen = check_stages([stage.strip() for stage in stages.split(",")])
    places = places_of(words_needed(chosen), ARTIFACTS)
    inputs = hash_inputs(places) if store is None else store(params, places)
    run = run_of(params, chosen, inputs)
    return finetune_of(run, name or content_name(run), namespace or cluster.namespace)


def _store(params: Any, places: Any) -> Any:
    from serin.clients.dvc_remote import DvcRemote
    from serin.clients.storage import open_storage
    from serin.job.inputs import store_inputs

    return store_inputs(places, DvcRemote(open_storage(params.storage)))


def _follow(cluster: "Cluster", name: str) -> None:
    from serin.job.follow import follow
    from serin.job.view import ending_line, exit_code_of

    with leaving(name), live_run() as shown:
        ended = follow(cluster, name, shown.tell, draw=shown.draw)
    tell(ending_line(ended))
    sys.exit(exit_code_of(ended))


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _print(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
