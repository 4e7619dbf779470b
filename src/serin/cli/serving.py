"""From params and options to the serving state that a verb works on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serin.core.errors import UsageError

if TYPE_CHECKING:
    from serin.clients.serving_state import FolderState, ServingState
    from serin.core.params import Params

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=Path(".serin/serve"),
    show_default=True,
    help="Where 'serin serve' keeps what it serves on this machine.",
)
states_option = click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A serving state folder; those beneath .serin are found.",
)


def serving_state(params: "Params", folder: Path) -> "ServingState":
    """The folder, or what ``serve.executor`` of params names instead.

    Raises:
        UsageError: a folder was given, and params name a cluster.
    """
    from serin.clients.serving_state import FolderState

    if params.serve.executor == "local":
        return FolderState(folder)
    if _is_given("state"):
        raise UsageError("--state: only where serve.executor is local, and params.yaml has kubernetes; leave it out")
    return _of_cluster(params)


def state_of_this_machine(params: "Params", folder: Path, instead: str) -> "FolderState":
    """The folder, for a verb that acts on this machine alone; ``instead`` says what there is on a cluster.

    Raises:
        UsageError: ``serve.executor`` of params names a cluster, and no folder was given.
    """
    from serin.clients.serving_state import FolderState

    if params.serve.executor != "local" and not _is_given("state"):
        raise UsageError(
            f"params.yaml says serve.executor: {params.serve.executor}, and this acts on what 'serin serve' serves on this "
            f"machine: {instead}; for this machine name the folder with --state {folder}"
        )
    return FolderState(folder)


def every_serving_state(params: "Params", folders: Sequence[Path]) -> "list[ServingState]":
    """Those of this project, these folders, and the cluster's where ``serve.executor`` names one."""
    from serin.clients.serving_state import FolderState
    from serin.publish.removal.served import state_folders

    states: list[ServingState] = [*state_folders(Path.cwd()), *(FolderState(folder) for folder in folders)]
    return states if params.serve.executor == "local" else [*states, _of_cluster(params)]


def _of_cluster(params: "Params") -> "ServingState":
    from serin.cli.cluster import connect
    from serin.clients.serving_state.cluster import ClusterState

    return ClusterState(connect(params, None, None), params.serve.rayservice, Path(".serin/serve/evidence"))


def _is_given(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is not click.core.ParameterSource.DEFAULT


def tell(line: str) -> None:
    """Say something of how it goes."""
    click.echo(line, err=True)
