"""What a gateway replica knows of the state folder: weights and running revisions, re-read when their files change."""

import asyncio
import logging
import time
from pathlib import Path

from serin.clients.serving_state import FolderState, Weights
from serin.core.errors import InputError

_POLL_S = 0.1
_RENEW_S = 1.0
_log = logging.getLogger(__name__)


class StateWatcher:
    """Polls the files' stamps ten times a second and acknowledges the weights that it follows."""

    def __init__(self, state: FolderState, replica: str) -> None:
        self.state = state
        self.replica = replica
        self.weights = Weights()
        self.running: frozenset[str] = frozenset()
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._acknowledged_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read once, then keep watching."""
        self.poll(time.monotonic())
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Watch no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def poll(self, now: float) -> None:
        """Follow what changed; a damaged file leaves the last good value in force."""
        changed = False
        try:
            if self._changed(self.state.weights_path):
                self.weights = self.state.weights()
                changed = True
            if self._changed(self.state.status_path):
                status = self.state.status()
                self.running = frozenset(name for name, entry in status.items() if entry.state == "ready")
        except InputError as error:
            _log.error("%s", error)
        if changed or now - self._acknowledged_at >= _RENEW_S:
            self.state.acknowledge(self.replica, self.weights.version)
            self._acknowledged_at = now

    def _changed(self, path: Path) -> bool:
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if self._stamps.get(path) == stamp:
            return False
        self._stamps[path] = stamp
        return True

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            self.poll(time.monotonic())
