"""Starting a rollout, or going on with one whose loop is gone; and following it."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from serin.clients.serving_state import FolderState, Weights
from serin.core.errors import RetryableError, ServingError, UsageError
from serin.core.params import RolloutParams
from serin.core.revision import Revision
from serin.rollout.policy import RolloutState, new_rollout
from serin.rollout.store import RolloutStore

_POLL_S = 0.2
_SPAWN_S = 20.0


def begin(wanted: str, params: RolloutParams, serving: FolderState, rollouts: Path, now: float) -> RolloutStore:
    """Declare a rollout from the present stable revision to ``wanted``, at its first step.

    For the canary of a rollout whose loop is gone, that rollout is returned: it goes on from its stored state.

    Raises:
        UsageError: nothing is stable, the canary is stable already, or another rollout runs.
        ServingError: the canary is not deployed.
    """
    canary = deployed(wanted, serving)
    present = serving.weights()
    if present.rollout is not None:
        return _interrupted(RolloutStore(rollouts, present.rollout), canary)
    if present.stable is None:
        raise UsageError("no revision is stable: the first one that 'serin deploy' brings up becomes it")
    if canary == present.stable:
        raise UsageError(
            f"{canary} is stable already: deploy another revision, or choose one from 'serin rollout status'"
        )
    label = Revision.parse(canary).label
    rollout = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{label}"
    store = RolloutStore(rollouts, rollout)
    state = new_rollout(rollout, present.stable, canary, rollout, params, now)
    store.write(state)

    def claim(weights: Weights) -> Weights:
        if weights.version != present.version:
            raise UsageError("the weights changed while the rollout was starting: run the same command again")
        return replace(weights, rollout=rollout, salt=state.salt, canary=canary, canary_weight=state.weight)

    try:
        serving.change_weights(claim)
    except UsageError:
        (store.folder / "state.json").unlink()
        raise
    return store


def deployed(wanted: str, serving: FolderState) -> str:
    """The one deployed and ready revision that ``wanted`` names, whole or by its first digits. Raises ServingError."""
    given = Revision.parse(wanted)
    known = sorted(serving.topology().revisions)
    matches = [name for name in known if name.startswith(str(given))]
    if len(matches) != 1:
        found = "not deployed" if not matches else f"the beginning of {len(matches)} deployed revisions"
        raise ServingError(f"{given} is {found}; deployed: {', '.join(known) or 'none'}; run 'serin deploy {given}'")
    entry = serving.status().get(matches[0])
    if entry is None or entry.state != "ready":
        seen = "not running" if entry is None else f"{entry.state} {entry.message}".strip()
        raise ServingError(f"{matches[0]} is {seen}: run 'serin deploy {given}', which waits until it is ready")
    if matches[0] in serving.weights().retiring:
        raise ServingError(f"{matches[0]} is being removed: wait for 'serin undeploy', then run 'serin deploy {given}'")
    return matches[0]


def spawn(store: RolloutStore, rollouts: Path, serving: FolderState) -> None:
    """Start the loop as a process of its own. Raises ServingError where it ends at once."""
    folders = ["--rollouts", str(rollouts.absolute()), "--state", str(serving.folder)]
    with store.log_path.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "serin", "rollout", "run", store.id, *folders],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _SPAWN_S
    while not store.runs() and store.read().decision == "running":
        if child.poll() is not None or time.monotonic() > deadline:
            raise ServingError(f"the loop of rollout {store.id} did not start: see {store.log_path}, then run again")
        time.sleep(_POLL_S)


def follow(store: RolloutStore, tell: Callable[[RolloutState], None]) -> RolloutState:
    """Tell every new state until the rollout is decided. Raises RetryableError where its loop has gone."""
    told: RolloutState | None = None
    while True:
        runs = store.runs()
        state = store.read()
        if state != told:
            tell(state)
            told = state
        if state.decision != "running":
            return state
        if not runs:
            raise RetryableError(
                f"the loop of rollout {state.id} has ended before it decided (see {store.log_path}); "
                f"'serin rollout start {state.canary}' goes on with it"
            )
        time.sleep(_POLL_S)


def _interrupted(store: RolloutStore, canary: str) -> RolloutStore:
    state = store.read()
    if state.canary == canary and not store.runs():
        return store
    raise UsageError(
        f"rollout {state.id} to {state.canary} is running: wait for it ('serin rollout status --watch'), "
        "or end it with 'serin rollout abort'"
    )
