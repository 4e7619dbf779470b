"""``progress.json`` in storage: where the stage stands, for the controller and for whoever follows."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serin.clients.storage import Storage
from serin.core.task import progress_key

_FILE = "progress.json"


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class ProgressCopy:
    """Copies what ``train`` writes beside its checkpoints, whenever that changed; of other stages, and before training begins, it
    says the phase alone. Two fields are added: ``pod``, and ``memory_estimate_bytes`` once that is known."""

    def __init__(
        self, storage: Storage, prefix: str, pod: str, runs: Path, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._storage = storage
        self._key = progress_key(prefix)
        self._runs = runs
        self._now = now
        self._changing = threading.Lock()
        self._own: dict[str, Any] = {"phase": "starting", "message": None}
        self._added: dict[str, Any] = {"pod": pod}
        self._sent: dict[str, Any] | None = None

    @property
    def memory_estimate_bytes(self) -> int | None:
        """As it was told."""
        found: int | None = self._added.get("memory_estimate_bytes")
        return found

    @property
    def phase_of_stage(self) -> str | None:
        """As training tells it; None where it told nothing."""
        return (self._of_stage() or {}).get("phase")

    def estimated(self, memory_bytes: int) -> None:
        """Tell what main memory the run was planned to take."""
        with self._changing:
            self._added = {**self._added, "memory_estimate_bytes": memory_bytes}

    def entered(self, phase: str, message: str | None = None) -> None:
        """Tell the phase: ``starting``, ``running``, ``storing``, and last ``finished``, ``preempted`` or ``failed``."""
        with self._changing:
            self._own = {"phase": phase, "message": message}

    def send(self) -> None:
        """Store it if it changed. Raises StorageError where storage does not take it."""
        with self._changing:
            told = {**(self._of_stage() or {}), **self._added}
            if self._own["phase"] != "running" or "phase" not in told:
                told |= {name: value for name, value in self._own.items() if value is not None}
        if told != self._sent:
            stamp = {"updated": told.get("updated") or self._now().isoformat(timespec="seconds")}
            if self._own["phase"] != "running":
                stamp = {"updated": self._now().isoformat(timespec="seconds")}
            self._storage.write(self._key, json.dumps(told | stamp, indent=2, ensure_ascii=False).encode())
            self._sent = told

    def _of_stage(self) -> dict[str, Any] | None:
        """What the newest run's file says; None where there is none, or it is none."""
        files = sorted(self._runs.glob(f"*/{_FILE}"), key=lambda path: path.stat().st_mtime)
        try:
            told = json.loads(files[-1].read_bytes()) if files else None
        except (OSError, ValueError):
            return None
        return told if isinstance(told, dict) else None
