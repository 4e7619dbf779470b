"""A rollout's folder: its state, its history, what a person asked for, and the lock of its one loop.

<rollouts>/<id>/state.json        the state, replaced atomically after every step
<rollouts>/<id>/history.jsonl     one line a step
<rollouts>/<id>/evidence.sqlite   the rows
<rollouts>/<id>/request.json      a person's decision that the loop has yet to record
<rollouts>/<id>/loop.log          what the loop says
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from serin.clients.files import read_json, write_atomically, write_json
from serin.core.errors import InputError, UsageError
from serin.rollout.policy import RolloutState


class Request(BaseModel):
    """What a person asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: Literal["promoted", "aborted"]
    reason: str


class RolloutStore:
    """Typed access to one rollout's folder."""

    def __init__(self, rollouts: Path, rollout: str) -> None:
        self.id = rollout
        self.folder = rollouts.absolute() / rollout

    @property
    def evidence_path(self) -> Path:
        """The SQLite file."""
        return self.folder / "evidence.sqlite"

    @property
    def history_path(self) -> Path:
        """One JSON line a step."""
        return self.folder / "history.jsonl"

    @property
    def log_path(self) -> Path:
        """What a detached loop says."""
        return self.folder / "loop.log"

    def read(self) -> RolloutState:
        """The state. Raises InputError where it is missing or damaged."""
        path = self.folder / "state.json"
        try:
            return RolloutState.model_validate(read_json(path))
        except ValidationError as error:
            raise InputError(f"{path} is damaged ({error.error_count()} faults): start another rollout") from error

    def write(self, state: RolloutState) -> None:
        """Replace the state."""
        write_json(self.folder / "state.json", state.model_dump(mode="json"))

    def append_history(self, line: dict[str, Any]) -> None:
        """Add one line."""
        with self.history_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")

    def ask(self, request: Request) -> None:
        """Leave a person's decision for the loop."""
        write_atomically(self.folder / "request.json", request.model_dump_json().encode())

    def asked(self) -> Request | None:
        """The decision that a person left, if any."""
        path = self.folder / "request.json"
        return Request.model_validate(read_json(path)) if path.exists() else None

    def runs(self) -> bool:
        """Whether some process holds the loop's lock now."""
        with self.hold_lock() as free:
            return not free

    @contextmanager
    def hold_lock(self) -> Iterator[bool]:
        """Whether this process may be the loop; the kernel gives the lock back when the process ends, however it ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".loop.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def rollouts_in(folder: Path) -> list[str]:
    """The ids of all rollouts, oldest first."""
    return sorted(path.parent.name for path in folder.glob("*/state.json"))


def newest(folder: Path) -> RolloutStore:
    """The rollout that was started last. Raises UsageError where there is none."""
    ids = rollouts_in(folder)
    if not ids:
        raise UsageError(f"no rollout in {folder}: start one with 'serin rollout start REVISION'")
    return RolloutStore(folder, ids[-1])
