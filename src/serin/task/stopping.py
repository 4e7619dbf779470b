"""Being told to stop: the stage hears it first, and what is left to do is done within the pod's grace period."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from serin.core.errors import FinalError
from serin.task.child import Child


class Stopping:
    """Within its block, SIGTERM and SIGINT go to the stage.

    Before there is one they end the task at once, by FinalError; after it, while results are stored, they are only noted.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._child: Child | None = None
        self._is_noting = False
        self._before: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def stage_begins(self) -> None:
        """From now on a signal is noted, for the stage that is being started."""
        self._is_noting = True

    def stage_began(self, child: Child) -> None:
        """From now on the stage gets the signals, one that came meanwhile included."""
        self._child = child
        if self.signal is not None:
            child.send(self.signal)

    def stage_ended(self) -> None:
        """From now on a signal changes nothing: what the stage has done is stored."""
        self._child = None

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is signal's
        self.signal = signal.Signals(number)
        if self._child is not None:
            self._child.send(self.signal)
        elif not self._is_noting:
            raise FinalError(
                f"stopped by {self.signal.name} before the stage began: nothing new was done, run it again"
            )
