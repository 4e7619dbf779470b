"""A stage of ``dvc.yaml`` on a cluster: what goes in is stored, the stage is followed, and what comes out is brought back.

Its FineTune is named after its content, so that the same command finds the run that it left with Ctrl-C.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serin.clients.dvc_remote import DvcRemote
from serin.clients.kubernetes.cluster import Cluster
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.clients.models import prefix_of
from serin.clients.storage import open_storage
from serin.core.errors import FinalError
from serin.core.manifest import MANIFEST
from serin.core.params import Params
from serin.core.task import INPUTS, Stage, Word
from serin.job.control import delete_if_there
from serin.job.finetune import cluster_of, content_name, finetune_of, is_same_run, run_in, run_of
from serin.job.follow import Pace, follow, patiently, state_of
from serin.job.inputs import content_of, places_of, store_inputs
from serin.job.picture import Picture
from serin.job.submit import create_or_find
from serin.job.view import ending_line, exit_code_of
from serin.job.wording import ENDED, phase_of

Tell = Callable[[str], None]
Draw = Callable[[Picture], None]


@dataclass(frozen=True, slots=True)
class Order:
    """One stage: where its inputs lie on this machine, and where its output belongs."""

    stage: Stage
    places: Mapping[Word, Path]
    out: Path


def run_stage(
    params: Params, order: Order, cluster: Cluster, tell: Tell, pace: Pace | None = None, draw: Draw | None = None
) -> int:
    """Run the stage on the cluster, and put its output where it would be if it had run here.

    What has failed before is run anew; what still runs is followed; what is done, and in storage, is brought back.

    Args:
        params: of the project.
        order: the stage.
        cluster: where.
        tell: is told how it goes.
        pace: how often to look.
        draw: see ``follow``.

    Returns:
        The run's own exit code.

    Raises:
        ConfigError: these params cannot run on a cluster, or the API server refuses them.
        InputError: an input is missing on this machine.
        FinalError: the run was deleted meanwhile, or its output differs from what it says.
    """
    pace = pace or Pace()
    cluster_of(params)
    places = places_of(INPUTS[order.stage], order.places)
    remote = DvcRemote(open_storage(params.storage))
    run = run_of(params, [order.stage], store_inputs(places, remote))
    name = content_name(run)
    finetune = finetune_of(run, name, cluster.namespace)
    _clear(cluster, finetune, order.stage, remote, tell, pace)
    wanted, is_new = patiently(lambda: create_or_find(cluster, finetune), tell, pace)
    tell(f"{order.stage} runs as {name} in {cluster.namespace}" + ("" if is_new else ", which was there already"))
    if wanted["spec"].get("suspend"):
        tell(f"it is suspended: 'serin job resume {name}' lets it go on")
    if not is_new and not is_same_run(wanted, finetune):
        tell(
            f"it keeps the placement that it was started with; 'serin job delete {name}' first to start it with another"
        )
    ended = follow(cluster, name, tell, pace, draw)
    code = exit_code_of(ended)
    out = state_of(ended, order.stage).get("out")
    if code == 0:
        if out is None:
            raise FinalError(f"{name} succeeded and names no output: the controller is of another version of Serin")
        remote.fetch(out, order.out)
        if (found := content_of(order.out)) != out:
            raise FinalError(f"{order.out} has the hash {found}, and {name} says {out}: remove it, and run this again")
    tell(ending_line(ended))
    return code


def _clear(
    cluster: Cluster, finetune: Mapping[str, Any], stage: Stage, remote: DvcRemote, tell: Tell, pace: Pace
) -> None:
    """Delete a run of this name that is over and gives nothing."""
    name = finetune["metadata"]["name"]
    present = patiently(lambda: cluster.get(FINE_TUNES, name), tell, pace)
    if present is None or phase_of(present) not in ENDED:
        return
    if phase_of(present) == "Failed":
        tell(f"{ending_line(present)}; it is deleted and made anew")
    elif stage != "publish" and _is_kept(present, stage, remote):
        return
    patiently(lambda: delete_if_there(cluster, name, present["metadata"]["uid"]), tell, pace)


def _is_kept(finetune: Mapping[str, Any], stage: Stage, remote: DvcRemote) -> bool:
    """Whether storage still has what it made; of a merge the model too, to which the output only points."""
    state = state_of(finetune, stage)
    if stage == "merge":
        model = prefix_of(run_in(finetune).params.merge.name, str(state.get("digest")))
        if not remote.storage.list(f"{model}/{MANIFEST}"):
            return False
    return "out" in state and not remote.missing(state["out"])
