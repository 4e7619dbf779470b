"""``serin experiment``: start, status, stop, report."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from serin.cli.options import load_params, params_option
from serin.cli.rollout_options import by_option, logged_in, output_option
from serin.cli.serving import state_of_this_machine, state_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from serin.rollout.experiment.engine import Counter
    from serin.rollout.experiment.status import ExperimentView

_LOST_S = 5.0

experiments_option = click.option(
    "--experiments", type=click.Path(path_type=Path), default=Path(".serin/experiments"), show_default=True
)
experiment_argument = click.argument("experiment", required=False)


@click.group("experiment")
def command() -> None:
    """Compare several revisions at fixed shares of the users, and find the best.

    The verbs act on what 'serin serve' serves on this machine, whatever cluster a kubeconfig names; a cluster has no experiments.
    """


@command.command()
@click.argument("revisions", nargs=-1, required=True, metavar="REVISION[=SHARE]...")
@by_option
@params_option
@experiments_option
@state_option
def start(revisions: tuple[str, ...], person: str | None, params_path: Path, experiments: Path, state: Path) -> None:
    """Give each deployed REVISION its SHARE of the users, such as law-qa@3f9a1c20=0.2, and stable the rest.

    Without shares all of them and stable get equal ones. A user stays with one revision until the experiment is stopped.
    """
    params = load_params(params_path)
    serving = state_of_this_machine(params, state, "a cluster has no experiments")

    from serin.rollout.experiment.start import begin
    from serin.rollout.experiment.store import local_experiments

    place = local_experiments(experiments)
    store, new = begin(revisions, params.experiment, serving, place, person or logged_in(), time.time())
    click.echo(f"experiment {store.id} {'has started' if new else 'goes on'}; see 'serin experiment status --watch'")


@command.command()
@experiment_argument
@click.option("--watch", is_flag=True, help="Look again and again until there is a winner or it is stopped.")
@output_option
@experiments_option
@state_option
def status(
    experiment: str | None, watch: bool, output: Literal["text", "json"], experiments: Path, state: Path
) -> None:
    """Count what came in, and show an experiment: each arm, who wins, or what it still takes.

    By default that is the one that runs, or else the newest.
    """
    from serin.rollout.experiment.status import lines

    counter = _counter(experiment, experiments, state)
    if watch and output == "text" and sys.stdout.isatty():
        from rich.live import Live
        from rich.text import Text

        with Live(auto_refresh=False) as live:
            _watch(counter, lambda view: live.update(Text("\n".join(lines(view))), refresh=True))
    elif watch and output == "text":
        _watch(counter, lambda view: click.echo(f"{view.units:,} users counted. {view.conclusion}"))
    elif watch:
        _watch(counter, lambda view: click.echo(view.model_dump_json()))
    else:
        view = _looked(counter)
        click.echo(view.model_dump_json(indent=2) if output == "json" else "\n".join(lines(view)))


@command.command()
@experiment_argument
@click.option(
    "--winner", help="The revision to go on with: nothing is promoted, the command for its rollout is printed."
)
@click.option("--reason", default="", help="Why; the experiment keeps it. Needed with --winner.")
@by_option
@experiments_option
@state_option
def stop(
    experiment: str | None, winner: str | None, reason: str, person: str | None, experiments: Path, state: Path
) -> None:
    """Count what came in, and send everybody back to stable. An experiment never makes a revision stable."""
    from serin.rollout.experiment.choice import chosen_arm
    from serin.rollout.experiment.status import lines, view_of

    if winner is not None and not reason:
        raise click.UsageError("--winner needs --reason: why this one")
    counter = _counter(experiment, experiments, state)
    chosen = None if winner is None else chosen_arm(counter.store.last().state, winner)
    now = time.time()
    step, done = counter.end(reason or "stopped by hand", now, person or logged_in(), chosen)
    click.echo("\n".join(lines(view_of(step.state, now))) + ("" if done else "\n(as before)"))
    if chosen is not None:
        click.echo(
            f"\nEverybody is with stable. To give {chosen} to all users on evidence: serin rollout start {chosen}"
        )


@command.command()
@experiment_argument
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page.  [default: reports/experiment-EXPERIMENT.html]",
)
@experiments_option
@state_option
def report(experiment: str | None, out: Path | None, experiments: Path, state: Path) -> None:
    """Count what came in, and write one HTML page about an experiment, by default as ``status`` does; it needs no network."""
    from serin.clients.files import write_atomically
    from serin.rollout.experiment.report import render_report

    counter = _counter(experiment, experiments, state)
    now = time.time()
    newest = counter.turn(now)
    units = [unit for _, counted in counter.store.steps() for unit in counted]
    path = out or Path("reports") / f"experiment-{counter.store.id}.html"
    write_atomically(path, render_report(newest.state, units, now).encode())
    click.echo(str(path))


def _counter(experiment: str | None, experiments: Path, state: Path) -> "Counter":
    from serin.clients.evidence.folder import FolderReader
    from serin.clients.serving_state import FolderState
    from serin.rollout.experiment.engine import Counter
    from serin.rollout.experiment.store import local_experiments

    serving, place = FolderState(state), local_experiments(experiments)
    running = serving.weights().experiment
    store = place.named(experiment or (running if running in place.ids() else None))
    return Counter(store, FolderReader(serving.evidence_folder), serving)


def _looked(counter: "Counter") -> "ExperimentView":
    from serin.rollout.experiment.status import view_of

    now = time.time()
    return view_of(counter.turn(now).state, now)


def _watch(counter: "Counter", show: "Callable[[ExperimentView], None]") -> None:
    """Until there is a winner, or it is stopped; storage that does not answer is asked again."""
    from serin.core.errors import StorageError
    from serin.rollout.loop import pause_s

    while True:
        try:
            view = _looked(counter)
        except (StorageError, OSError) as error:
            click.echo(f"tried again later: {error}", err=True)
            time.sleep(_LOST_S)
            continue
        show(view)
        if view.winner is not None or view.phase == "stopped":
            return
        time.sleep(pause_s(time.time() - view.started_t))
