"""From params and options to a cluster, and what verbs that follow a run on one have in common."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from serin.cli.live import live_run, tell
from serin.cli.names import NAMESPACE
from serin.cli.options import load_params, params_option
from serin.core.errors import UsageError

if TYPE_CHECKING:
    from serin.clients.kubernetes.cluster import Cluster
    from serin.core.params import Params
    from serin.core.task import Stage, Word

F = TypeVar("F", bound=Callable[..., Any])

_INTERRUPTED = 130


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


def connect(params: "Params | None", namespace: str | None, context: str | None) -> "Cluster":
    """The cluster that the options name, or else params, or else the kubeconfig."""
    from serin.clients.kubernetes.opening import open_cluster

    named = params.kubernetes if params is not None else None
    return open_cluster(
        namespace or (named.namespace if named else None), context or (named.context if named else None), os.environ
    )


def params_if_any(path: Path) -> "Params | None":
    """The params of the project; None where there are none, and nobody named a file.

    Raises:
        ParamsError: the file has faults.
    """
    source = click.get_current_context().get_parameter_source("params_path")
    if source is click.core.ParameterSource.DEFAULT and not path.exists():
        return None
    return load_params(path)


@contextmanager
def leaving(name: str) -> Iterator[None]:
    """Ctrl-C leaves the run alone: say how to come back to it."""
    try:
        yield
    except KeyboardInterrupt:
        tell(
            f"\n{name} goes on without you: 'serin job follow {name}' comes back to it, 'serin job stop {name}' stops it"
        )
        sys.exit(_INTERRUPTED)


def follow_to_the_end(cluster: "Cluster", name: str) -> None:
    """Show a run live until it ends, and exit with its code."""
    from serin.job.follow import follow
    from serin.job.view import ending_line, exit_code_of

    with leaving(name), live_run() as shown:
        ended = follow(cluster, name, shown.tell, draw=shown.draw)
    tell(ending_line(ended))
    sys.exit(exit_code_of(ended))


def run_on_cluster(
    params: "Params", stage: "Stage", places: "Mapping[Word, Path]", out: Path, refused: Mapping[str, Any]
) -> None:
    """Run a stage on the cluster as ``executor: kubernetes`` wants it, and return when its output is there.

    Args:
        params: of the project.
        stage: which.
        places: of its inputs on this machine.
        out: where its output goes.
        refused: options that only make sense on this machine, and what was given for them.

    Raises:
        UsageError: one of those was given.
        SystemExit: with the run's own exit code, if that is not 0.
    """
    if given := [option for option, value in refused.items() if value]:
        raise UsageError(
            f"{', '.join(given)}: only where the stage runs on this machine, and params.yaml has executor: kubernetes; leave "
            "it out, or set executor: local"
        )
    from serin.job.executor import Order, run_stage

    cluster = connect(params, None, None)

    try:
        with live_run() as shown:

            def told(line: str) -> None:
                shown.tell(f"{stage}: {line}" if not line.startswith((stage, " ")) else line)

            code = run_stage(params, Order(stage, places, out), cluster, told, draw=shown.draw)
    except KeyboardInterrupt:
        tell(
            f"\n{stage} goes on in the cluster: run the same command to come back to it; 'serin job list' shows its name"
        )
        sys.exit(_INTERRUPTED)
    if code:
        sys.exit(code)
