"""The loop of a rollout on one machine: a process that takes turns until the rollout is decided."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from serin.clients.evidence.folder import FolderReader
from serin.clients.serving_state import FolderState
from serin.clients.storage import FolderStorage
from serin.core.errors import InputError, RetryableError, StorageError, UsageError
from serin.rollout.engine import Engine, capacity_of
from serin.rollout.state import RolloutState
from serin.rollout.store import Rollouts

_SHORTEST_S, _LONGEST_S = 0.5, 30.0
_SHARE_OF_AGE = 0.01
_ACK_S = 10.0


class LocalRollouts(Rollouts):
    """The rollouts in a folder, each with the lock of its loop and with what the loop says.

    <folder>/runs/<id>/loop.lock   held by the loop's process
    <folder>/runs/<id>/loop.log    what it says
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(FolderStorage(folder.absolute()))
        self.folder = folder.absolute()

    def log_path(self, rollout: str) -> Path:
        """What a detached loop says."""
        return self.folder / "runs" / rollout / "loop.log"

    def runs(self, rollout: str) -> bool:
        """Whether some process is the loop of a rollout now."""
        with self.hold_lock(rollout) as free:
            return not free

    @contextmanager
    def hold_lock(self, rollout: str) -> Iterator[bool]:
        """Whether this process may be the loop; the kernel gives the lock back when the process ends, however it ends."""
        path = self.log_path(rollout).with_name("loop.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def run(rollouts: LocalRollouts, rollout: str, serving: FolderState, tell: Callable[[str], None]) -> RolloutState:
    """Take turns until a rollout is decided, from wherever it stands.

    Raises:
        UsageError: another process runs it, or it could not begin.
        InputError: its steps or the evidence are damaged.
    """
    with rollouts.hold_lock(rollout) as mine:
        if not mine:
            raise UsageError(f"rollout {rollout} is run by another process: see 'serin rollout status'")
        store = rollouts.of(rollout)
        engine = Engine(store, FolderReader(serving.evidence_folder), serving)
        acknowledged = -1
        while True:
            now = time.time()
            try:
                step = engine.turn(now, capacity_of(store.read(), serving))
            except (StorageError, OSError) as error:
                tell(f"tried again later: {error}")
                time.sleep(_LONGEST_S / 6)
                continue
            if step.action != "count" and step.t == now:
                tell(f"{step.action}, canary weight {step.state.weight:g}: {step.reason}")
            version = serving.weights().version
            if version != acknowledged and serving.serves():
                acknowledged = version
                _wait_for_ack(serving, version, tell)
            if step.state.decision != "running":
                return step.state
            time.sleep(pause_s(now - step.state.started_t))


def pause_s(age_s: float) -> float:
    """Between turns: a rollout that has run for long is looked at less often, and leaves fewer steps."""
    return min(_LONGEST_S, max(_SHORTEST_S, _SHARE_OF_AGE * age_s))


def follow(rollouts: LocalRollouts, rollout: str, tell: Callable[[RolloutState], None], poll_s: float) -> RolloutState:
    """Tell the state again and again until the rollout is decided.

    Raises:
        RetryableError: its loop has gone.
        InputError: its steps are damaged.
    """
    store = rollouts.of(rollout)
    while True:
        runs = rollouts.runs(rollout)
        state = store.read()
        tell(state)
        if state.decision != "running":
            return state
        if not runs:
            raise RetryableError(
                f"the loop of rollout {rollout} has ended before it decided (see {rollouts.log_path(rollout)}); "
                f"'serin rollout start {state.canary}' goes on with it"
            )
        time.sleep(poll_s)


def _wait_for_ack(serving: FolderState, version: int, tell: Callable[[str], None]) -> None:
    try:
        serving.wait_for_ack(version, _ACK_S)
    except RetryableError as error:
        tell(f"goes on unacknowledged: {error}")
    except InputError as error:
        tell(f"goes on, and cannot tell who follows: {error}")
