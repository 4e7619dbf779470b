"""``serin job render`` and ``submit``: from this project, or from a file, to a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from serin.cli.cluster import cluster_options, connect, follow_to_the_end, params_if_any
from serin.cli.names import NAMESPACE, OBJECT
from serin.cli.options import load_params, params_option
from serin.core.task import STAGES

_file = click.Path(path_type=Path, dir_okay=False)
stages_option = click.option(
    "--stages", default=",".join(STAGES), show_default=True, metavar="STAGE,…", help="Which stages, without a gap."
)


@click.command()
@click.argument("file", required=False, type=_file)
@click.option("--stage", type=click.Choice(STAGES), help="Only this stage.")
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
    only = next((one for one in STAGES if one == stage), None)
    bodies = rendered(finetune, only)
    click.echo(text_of(bodies, "uid" in finetune["metadata"]), nl=False)


@click.command()
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
    follow_to_the_end(cluster, called)


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
