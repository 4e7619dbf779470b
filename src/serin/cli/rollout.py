"""``serin rollout``: start, status, pause, resume, promote, abort; plan, history and report stand beside it."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from serin.cli.options import load_params, params_option
from serin.cli.rollout_history import history, report
from serin.cli.rollout_options import (
    asked_by_hand,
    by_option,
    logged_in,
    output_option,
    rollout_argument,
    rollouts_option,
)
from serin.cli.rollout_plan import command as plan
from serin.cli.serving import state_of_this_machine, state_option

if TYPE_CHECKING:
    from serin.rollout.loop import LocalRollouts
    from serin.rollout.state import RolloutState

_SHOWN_EVERY_S = 5.0
_LIVE_S = 0.5
_STEADY_S = 0.2


@click.group("rollout")
def command() -> None:
    """Move traffic to a canary on evidence, or back.

    The verbs act on what 'serin serve' serves on this machine, whatever cluster a kubeconfig names. On a cluster the controller
    does the same for a ModelRollout:

    \b
      kubectl get mro
      kubectl patch mro NAME --type merge -p '{"spec": {"paused": true, "reason": "a holiday"}}'
      kubectl patch mro NAME --type merge -p '{"spec": {"paused": false}}'
      kubectl patch mro NAME --type merge -p '{"spec": {"action": "promote", "reason": "a customer waits"}}'
      kubectl patch mro NAME --type merge -p '{"spec": {"action": "abort", "reason": "wrong tone"}}'
    """


command.add_command(plan)
command.add_command(history)
command.add_command(report)


@command.command()
@click.argument("revision")
@click.option("--wait", is_flag=True, help="Follow it until it is decided; 3 where it was aborted.")
@by_option
@params_option
@rollouts_option
@state_option
def start(revision: str, wait: bool, person: str | None, params_path: Path, rollouts: Path, state: Path) -> None:
    """Offer a deployed REVISION to a share of the users, and raise that share while the evidence allows.

    Where that rollout is under way already it goes on, with a new loop if its own is gone.
    """
    loaded = load_params(params_path)
    serving = state_of_this_machine(loaded, state, "on a cluster apply a ModelRollout ('serin rollout --help')")
    params = loaded.rollout

    from serin.rollout.loop import LocalRollouts
    from serin.rollout.planning import least_units
    from serin.rollout.start import begin, spawn

    place = LocalRollouts(rollouts)
    known = set(place.ids())
    store = begin(revision, params, serving, place, person or logged_in(), time.time())
    new = store.id not in known
    if new:
        least = least_units(params)
        for name, metric in params.metrics.items():
            count = "no number of" if least[name] is None else f"at least {least[name]}"
            click.echo(f"{name}: δ = {metric.delta:g}; {count} canary users can prove it", err=True)
    spawn(place, store.id, serving)
    click.echo(f"rollout {store.id} {'has started' if new else 'goes on'}")
    if wait:
        _follow(place, store.id)


@command.command()
@rollout_argument
@click.option("--watch", is_flag=True, help="Follow it until it is decided; 3 where it was aborted.")
@output_option
@rollouts_option
@state_option
def status(rollout: str | None, watch: bool, output: Literal["text", "json"], rollouts: Path, state: Path) -> None:
    """Show a rollout, by default the newest: how far it is, how strong its evidence is, and what it waits for."""
    from serin.clients.serving_state import FolderState
    from serin.rollout.engine import capacity_of
    from serin.rollout.loop import LocalRollouts
    from serin.rollout.status import lines, view_of

    place = LocalRollouts(rollouts)
    store = place.named(rollout)
    if watch:
        return _follow(place, store.id, output)
    found = store.read()
    view = view_of(found, time.time(), capacity_of(found, FolderState(state)), place.runs(store.id))
    click.echo(view.model_dump_json(indent=2) if output == "json" else "\n".join(lines(view)))
    return None


@command.command()
@asked_by_hand(required=True)
def pause(**asked: Any) -> None:
    """Hold the canary's share where it is; a canary that is proven worse is still aborted."""
    _by_hand("pause", **asked)


@command.command()
@asked_by_hand(default="")
def resume(**asked: Any) -> None:
    """Go on with a paused rollout."""
    _by_hand("resume", **asked)


@command.command()
@asked_by_hand(required=True)
def promote(**asked: Any) -> None:
    """Make the canary stable now, whatever the evidence says."""
    _by_hand("promote", **asked)


@command.command()
@asked_by_hand(required=True)
def abort(**asked: Any) -> None:
    """Send everybody back to stable now."""
    _by_hand("abort", **asked)


@command.command(hidden=True)
@click.argument("rollout")
@rollouts_option
@state_option
def run(rollout: str, rollouts: Path, state: Path) -> None:
    """Be the loop of a started rollout."""
    from serin.clients.serving_state import FolderState
    from serin.rollout.loop import LocalRollouts
    from serin.rollout.loop import run as run_loop

    decided = run_loop(LocalRollouts(rollouts), rollout, FolderState(state), lambda line: click.echo(line, err=True))
    click.echo(_line(decided))


def _by_hand(
    verb: Literal["pause", "resume", "promote", "abort"],
    rollout: str | None,
    reason: str,
    person: str | None,
    rollouts: Path,
    state: Path,
) -> None:
    from serin.clients.serving_state import FolderState
    from serin.rollout.loop import LocalRollouts
    from serin.rollout.manual import do_by_hand

    store = LocalRollouts(rollouts).named(rollout)
    step, done = do_by_hand(verb, store, FolderState(state), reason, person or logged_in(), time.time())
    click.echo(_line(step.state) + ("" if done else " (as before)"))


def _follow(place: "LocalRollouts", rollout: str, output: Literal["text", "json"] = "text") -> None:
    from serin.core.errors import GateError
    from serin.rollout.loop import follow

    if output == "text" and sys.stdout.isatty():
        decided = _follow_live(place, rollout)
    else:
        decided = follow(place, rollout, _Told(output), _STEADY_S)
    if decided.decision == "aborted":
        raise GateError(f"rollout {decided.id} was aborted: {decided.reason}; all users are with {decided.stable}")


def _follow_live(place: "LocalRollouts", rollout: str) -> "RolloutState":
    """The whole status, drawn anew in its place."""
    from rich.live import Live
    from rich.text import Text

    from serin.rollout.loop import follow
    from serin.rollout.status import lines, view_of

    with Live(auto_refresh=False) as live:

        def show(state: "RolloutState") -> None:
            live.update(Text("\n".join(lines(view_of(state, time.time())))), refresh=True)

        return follow(place, rollout, show, _LIVE_S)


class _Told:
    """Shows a rollout at every change of weight or pause, and every few seconds between, one line each time."""

    def __init__(self, output: Literal["text", "json"]) -> None:
        self.output = output
        self.shown: tuple[float, bool] | None = None
        self.last = 0.0

    def __call__(self, state: "RolloutState") -> None:
        from serin.rollout.status import view_of

        now = time.time()
        shown = (state.weight, state.paused)
        if state.decision == "running" and shown == self.shown and now - self.last < _SHOWN_EVERY_S:
            return
        self.shown, self.last = shown, now
        view = view_of(state, now)
        left = "" if view.time_left_s is None else f", at most {view.time_left_s:.0f} s left"
        click.echo(view.model_dump_json() if self.output == "json" else _line(state) + left)


def _line(state: "RolloutState") -> str:
    """A rollout in one line."""
    units = f"{state.units['stable']} stable and {state.units['canary']} canary users counted"
    if state.decision != "running":
        return f"{state.id}: {state.decision}, {state.reason} ({units})"
    unproven = ", ".join(state.unproven()) or "nothing"
    paused = "paused, " if state.paused else ""
    return f"{state.id}: {paused}canary weight {state.weight:g}, {units}, unproven: {unproven}"
