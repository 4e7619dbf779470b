"""Being told to stop: SIGTERM and Ctrl-C set a flag, which the loop looks at where it can save."""

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Stop(Exception):
    """Not an error but a way out: leave the step or the evaluation under way; what it had changed does not count."""


class Stopper:
    """Within its block, the first SIGTERM or SIGINT asks the loop to save and leave; a second SIGINT interrupts at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.signal: signal.Signals | None = None
        self.asked_at: float | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def leave_if_requested(self) -> None:
        """Raises Stop once a signal has come."""
        if self.requested:
            raise Stop

    def seconds_since(self) -> float:
        """Seconds since the signal came; 0 before."""
        return 0.0 if self.asked_at is None else self.clock() - self.asked_at

    def __enter__(self) -> "Stopper":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is signal's
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.requested:
            self.signal, self.asked_at = signal.Signals(number), self.clock()
