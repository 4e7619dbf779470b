"""Starting a rollout on this machine, or going on with one whose loop is gone."""

import subprocess
import sys
import time
from datetime import UTC, datetime

from serin.clients.serving_state import FolderState
from serin.core.errors import ServingError, UsageError
from serin.core.params import RolloutParams
from serin.core.revision import Revision
from serin.rollout.engine import open_traffic
from serin.rollout.loop import LocalRollouts
from serin.rollout.state import new_rollout
from serin.rollout.store import RolloutStore, Step

_POLL_S = 0.2
_SPAWN_S = 120.0
"""A loop that lives and has not begun is waited for so long: on a machine that serves, Python alone may take half a minute."""


def begin(
    wanted: str, params: RolloutParams, serving: FolderState, rollouts: LocalRollouts, person: str, now: float
) -> RolloutStore:
    """Give ``wanted`` the first share of the present stable revision's units.

    For the canary of a rollout that runs, or whose loop is gone, that rollout is returned: it goes on as it is.

    Raises:
        UsageError: nothing is stable, the canary is stable already, or another rollout or an experiment runs.
        ServingError: the canary is not deployed.
    """
    canary = deployed(wanted, serving)
    present = serving.weights()
    if present.rollout is not None:
        return _running(rollouts.of(present.rollout), canary)
    if present.experiment is not None:
        raise UsageError(
            f"experiment {present.experiment} splits the traffic now: end it with 'serin experiment stop' first"
        )
    if present.stable is None:
        raise UsageError("no revision is stable: the first one that 'serin deploy' brings up becomes it")
    if canary == present.stable:
        raise UsageError(
            f"{canary} is stable already: deploy another revision, or choose one from 'serin rollout history'"
        )
    rollout = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}-{Revision.parse(canary).label}"
    store = rollouts.of(rollout)
    state = new_rollout(rollout, present.stable, canary, rollout, params, now)
    declared = Step(number=0, t=now, action="create", person=person, state=state)
    if not store.append(declared):
        raise UsageError(f"rollout {rollout} is being started by another process: see 'serin rollout status'")
    open_traffic(store, declared, serving, now)
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


def spawn(rollouts: LocalRollouts, rollout: str, serving: FolderState) -> None:
    """Start the loop as a process of its own, unless it runs. Raises ServingError where it ends at once."""
    if rollouts.runs(rollout):
        return
    store, log_path = rollouts.of(rollout), rollouts.log_path(rollout)
    folders = ["--rollouts", str(rollouts.folder), "--state", str(serving.folder)]
    with log_path.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "serin", "rollout", "run", rollout, *folders],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _SPAWN_S
    while not rollouts.runs(rollout) and store.read().decision == "running":
        if child.poll() is not None or time.monotonic() > deadline:
            raise ServingError(f"the loop of rollout {rollout} did not start: see {log_path}, then run again")
        time.sleep(_POLL_S)


def _running(store: RolloutStore, canary: str) -> RolloutStore:
    state = store.read()
    if state.canary == canary:
        return store
    raise UsageError(
        f"rollout {state.id} to {state.canary} is running: wait for it ('serin rollout status --watch'), "
        "or end it with 'serin rollout abort'"
    )
