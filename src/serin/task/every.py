"""What is done every few seconds while the stage runs: storage that does not answer holds nothing up."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from serin.clients.storage.faults import REFUSALS
from serin.core.errors import SerinError

_LAST_S = 30.0
_PAUSE_S = 1.0


class Every:
    """Within its block, calls ``act`` every so many seconds in a thread of its own; at the end once more, until it succeeds.

    A failure is told once, and the next call tries again. The thread is a daemon: a pod that must end waits for storage no longer
    than ``last_s``, and not at all for one that refuses it.
    """

    def __init__(
        self, seconds: float, act: Callable[[], None], what: str, tell: Callable[[str], None], last_s: float = _LAST_S
    ) -> None:
        self._seconds = seconds
        self._act = act
        self._what = what
        self._tell = tell
        self._last_s = last_s
        self._failing = False
        self._refused = False
        self._changed = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._work, name=what.replace(" ", "-"), daemon=True)

    def wake(self) -> None:
        """Act now."""
        self._changed.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        self._changed.set()
        self._thread.join(self._last_s)

    def _work(self) -> None:
        is_last = False
        while not is_last:
            self._changed.wait(self._seconds)
            self._changed.clear()
            is_last = self._ending
            self._try()
        until = time.monotonic() + self._last_s
        while self._failing and not self._refused and time.monotonic() < until:
            time.sleep(min(self._seconds, _PAUSE_S))
            self._try()

    def _try(self) -> None:
        try:
            self._act()
        except (SerinError, OSError) as error:
            if not self._failing:
                self._tell(f"{self._what} could not be stored ({error}); the work goes on, and it is tried again")
            self._failing = True
            self._refused = isinstance(error, REFUSALS)
        else:
            if self._failing and not self._ending:  # what is told at the end would come too late for the log itself
                self._tell(f"storage answers again: {self._what} is stored")
            self._failing = False
