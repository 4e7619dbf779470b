"""``serin rollout``: plan, start, status, promote, abort."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serin.cli.options import load_params, params_option
from serin.cli.rollout_plan import command as plan

if TYPE_CHECKING:
    from serin.rollout.policy import RolloutState
    from serin.rollout.store import RolloutStore

_SHOWN_EVERY_S = 5.0

rollouts_option = click.option(
    "--rollouts", type=click.Path(path_type=Path), default=Path(".serin/rollouts"), show_default=True
)
state_option = click.option("--state", type=click.Path(path_type=Path), default=Path(".serin/serve"), show_default=True)


@click.group("rollout")
def command() -> None:
    """Move traffic to a canary on evidence, or back."""


command.add_command(plan)


@command.command()
@click.argument("revision")
@click.option("--wait", is_flag=True, help="Follow it until it is decided; 3 where it was aborted.")
@params_option
@rollouts_option
@state_option
def start(revision: str, wait: bool, params_path: Path, rollouts: Path, state: Path) -> None:
    """Offer a deployed REVISION to a share of the users, and raise that share while the evidence allows."""
    params = load_params(params_path).rollout

    from serin.clients.serving_state import FolderState
    from serin.rollout.planning import least_units
    from serin.rollout.start import begin, spawn

    serving = FolderState(state)
    store = begin(revision, params, serving, rollouts, time.time())
    least = least_units(params)
    for name, metric in params.metrics.items():
        count = "no number of" if least[name] is None else f"at least {least[name]}"
        click.echo(f"{name}: δ = {metric.delta:g}; {count} canary users can prove it", err=True)
    spawn(store, rollouts, serving)
    click.echo(f"rollout {store.id} has started")
    if wait:
        _follow(store)


@command.command()
@click.option("--watch", is_flag=True, help="Follow it until it is decided; 3 where it was aborted.")
@rollouts_option
def status(watch: bool, rollouts: Path) -> None:
    """Show the newest rollout: its step, its units and what is still unproven."""
    from serin.rollout.store import newest

    store = newest(rollouts)
    if watch:
        _follow(store)
    else:
        click.echo(_line(store.read()))


@command.command()
@click.option("--reason", required=True, help="Why; the rollout's history keeps it.")
@rollouts_option
@state_option
def promote(reason: str, rollouts: Path, state: Path) -> None:
    """Make the canary stable now, whatever the evidence says."""
    _by_hand("promoted", reason, rollouts, state)


@command.command()
@click.option("--reason", required=True, help="Why; the rollout's history keeps it.")
@rollouts_option
@state_option
def abort(reason: str, rollouts: Path, state: Path) -> None:
    """Send everybody back to stable now."""
    _by_hand("aborted", reason, rollouts, state)


@command.command(hidden=True)
@click.argument("rollout")
@rollouts_option
@state_option
def run(rollout: str, rollouts: Path, state: Path) -> None:
    """Be the loop of a started rollout."""
    from serin.clients.serving_state import FolderState
    from serin.rollout.loop import run as run_loop
    from serin.rollout.store import RolloutStore

    decided = run_loop(RolloutStore(rollouts, rollout), FolderState(state), lambda line: click.echo(line, err=True))
    click.echo(_line(decided))


def _by_hand(decision: str, reason: str, rollouts: Path, state: Path) -> None:
    from serin.clients.serving_state import FolderState
    from serin.core.errors import UsageError
    from serin.rollout.loop import decide_now
    from serin.rollout.start import follow
    from serin.rollout.store import Request, newest

    store = newest(rollouts)
    present = store.read()
    if present.decision != "running":
        raise UsageError(f"rollout {store.id} is {present.decision} already ({present.reason}): start another one")
    store.ask(Request.model_validate({"decision": decision, "reason": reason}))
    decided = decide_now(store, FolderState(state), lambda line: click.echo(line, err=True))
    click.echo(_line(decided or follow(store, lambda _: None)))


def _follow(store: "RolloutStore") -> None:
    from serin.core.errors import GateError
    from serin.rollout.start import follow

    decided = follow(store, _Told())
    if decided.decision == "aborted":
        raise GateError(f"rollout {decided.id} was aborted: {decided.reason}; all users are with {decided.stable}")


class _Told:
    """Shows a rollout's state at every change of weight, and every few seconds between, with the time left."""

    def __init__(self) -> None:
        self.weight: float | None = None
        self.last = 0.0

    def __call__(self, state: "RolloutState") -> None:
        now = time.time()
        if state.decision == "running" and state.weight == self.weight and now - self.last < _SHOWN_EVERY_S:
            return
        self.weight, self.last = state.weight, now
        left = max(0.0, state.started_t + state.params.max_time_s - now)
        click.echo(_line(state) + (f", at most {left:.0f} s left" if state.decision == "running" else ""))


def _line(state: "RolloutState") -> str:
    """A rollout in one line."""
    units = f"{state.units['stable']} stable and {state.units['canary']} canary users counted"
    if state.decision != "running":
        return f"{state.id}: {state.decision}, {state.reason} ({units})"
    unproven = ", ".join(state.unproven()) or "nothing"
    return f"{state.id}: canary weight {state.weight:g}, {units}, unproven: {unproven}"
