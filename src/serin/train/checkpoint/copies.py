"""Copies of checkpoints in storage, made in the background: training never waits for them, but at its end."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from serin.clients.files import output_folder
from serin.clients.storage import Storage
from serin.core.errors import SerinError
from serin.core.manifest import MANIFEST
from serin.train.checkpoint.state import folder_name, step_of, to_remove

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class Copies:
    """Copies the newest checkpoint under ``runs/<key>/``, manifest last; one that comes while another is copied waits, and
    replaces one that waits already. A storage that fails is tried again, with pauses that grow to a minute, until it works or
    the run ends."""

    def __init__(self, storage: Storage, key: str, keep: int, noted: Callable[[str], None]) -> None:
        self.storage = storage
        self.prefix = f"runs/{key}"
        self.keep = keep
        self.noted = noted
        self._changed = threading.Condition()
        self._next: tuple[int, Path] | None = None
        self._busy_with: int | None = None
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._work, name="checkpoint-copies", daemon=True)
        self._thread.start()

    def add(self, step: int, folder: Path) -> None:
        """Copy this checkpoint soon."""
        with self._changed:
            self._next = (step, folder)
            self._changed.notify_all()

    def is_using(self, step: int) -> bool:
        """Whether the folder of ``step`` is being copied, or is to be next."""
        with self._changed:
            return step == self._busy_with or (self._next is not None and step == self._next[0])

    def wait(self, seconds: float) -> bool:
        """Wait until all is copied, at most so long; whether it is."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._next is not None or self._busy_with is not None:
                if (left := until - time.monotonic()) <= 0:
                    return False
                self._changed.wait(left)
            return True

    def close(self) -> None:
        """Stop; what is being copied and is not done is left without its manifest."""
        with self._changed:
            self._closing = True
            self._next = None
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._next is None and not self._closing:
                    self._changed.wait()
                if self._closing or self._next is None:
                    return
                self._busy_with, folder = self._next
                self._next = None
                step = self._busy_with
            self._copy_with_patience(step, folder)
            with self._changed:
                self._busy_with = None
                self._changed.notify_all()

    def _copy_with_patience(self, step: int, folder: Path) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                self._copy(step, folder)
            except (SerinError, OSError) as error:
                if not self._failing:
                    self.noted(
                        f"the checkpoint of step {step} could not be copied ({error}); training goes on, and tries again"
                    )
                self._failing = True
            else:
                if self._failing:
                    self.noted(f"storage answers again: the checkpoint of step {step} is copied")
                self._failing = False
                return
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._next is not None, pause_s)
                if self._closing or self._next is not None:  # a newer one is worth more
                    return
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _copy(self, step: int, folder: Path) -> None:
        self.storage.put_folder(folder, f"{self.prefix}/{folder_name(step)}", last=MANIFEST)
        for old in to_remove(stored_steps(self.storage, self.prefix), self.keep):
            self.storage.remove_folder(f"{self.prefix}/{folder_name(old)}", first=MANIFEST)


def stored_steps(storage: Storage, prefix: str) -> list[int]:
    """Steps of the complete checkpoints under ``prefix``."""
    names = [key.removeprefix(f"{prefix}/").split("/") for key in storage.list(f"{prefix}/")]
    return sorted(step for name, *rest in names if rest == [MANIFEST] and (step := step_of(name)) is not None)


def fetch_newer(storage: Storage, key: str, than_step: int | None, to: Path) -> int | None:
    """Fetch the newest checkpoint of a run from storage into the folder ``to``, if newer than ``than_step``; its step.

    Raises:
        StorageError: storage does not answer, or lost a part.
    """
    steps = stored_steps(storage, f"runs/{key}")
    if not steps or (than_step is not None and steps[-1] <= than_step):
        return None
    name = folder_name(steps[-1])
    found = storage.fetch_folder(f"runs/{key}/{name}", to / name)
    if found != to / name:
        with output_folder(to / name) as folder:
            shutil.copytree(found, folder, dirs_exist_ok=True)
    return steps[-1]
