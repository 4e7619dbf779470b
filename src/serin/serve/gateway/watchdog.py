"""When a request has to end early: its time is up, nothing moves any more, or its client is gone."""

import asyncio
from collections.abc import Callable
from types import TracebackType

from serin.core.errors import ServingError
from serin.serve.asgi import Receive
from serin.serve.gateway.finished import Kind

_WORDS: dict[Kind, str] = {
    "timeout": "the request's time is up",
    "stalled": "the revision sent nothing for too long",
    "client_stalled": "the client read nothing for too long",
    "client_closed": "the client went away",
}

_LISTEN_AFTER_S = 0.05
"""A client that leaves sooner is noticed then; a shorter request is over before anything could be saved, and listening takes a
task."""


class StoppedError(ServingError):
    """The watchdog ended a request."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        super().__init__(_WORDS[kind])


class Watchdog:
    """Use as a context in the task of one request; it cancels what runs inside, and raises StoppedError instead.

    One timer serves the whole request, and ``moved`` is an assignment: a timer for each chunk would cost more than the chunk.
    """

    def __init__(
        self,
        timeout_s: float,
        stall_s: float,
        client_stall_s: float,
        clock: Callable[[], float],
        receive: Receive | None,
    ) -> None:
        self.deadline = clock() + timeout_s
        self.moved_at = 0.0
        self.sending = False
        """Whether it is the client that is waited for."""
        self.streaming = False
        """Whether pauses count: not before the first byte."""
        self._stall_s = stall_s
        self._client_stall_s = client_stall_s
        self._clock = clock
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._stopped: Kind | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._listener: asyncio.Task[None] | None = None
        self._task: asyncio.Task[object] | None = None

    def left_s(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.deadline - self._clock())

    def begin_stream(self) -> None:
        """From here on, pauses count."""
        self.streaming = True
        self.moved_at = self._clock()
        if self._listener is not None or self._receive is None:  # else the timer comes soon
            self._arm(self._next_look(self.moved_at))

    def stop_listening(self) -> None:
        """Before the end of the answer is sent: a server reports the end of an exchange as if the client had left."""
        self._receive = None
        if self._listener is not None:
            self._listener.cancel()

    def __enter__(self) -> "Watchdog":
        self._task = asyncio.current_task()
        self._arm(self.deadline if self._receive is None else min(self.deadline, self._clock() + _LISTEN_AFTER_S))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
        stopped, self._stopped, task, self._task = self._stopped, None, self._task, None
        if stopped is not None and task is not None:
            still_cancelled = task.uncancel() > 0
            if isinstance(error, asyncio.CancelledError) and not still_cancelled:
                raise StoppedError(stopped) from error

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stop("client_closed")

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0.0, when - self._clock()), self._look)

    def _look(self) -> None:
        now = self._clock()
        if now >= self.deadline:
            self._stop("timeout")
            return
        if self._receive is not None and self._listener is None:
            self._listener = self._loop.create_task(self._listen(self._receive))
        if not self.streaming:
            self._arm(self.deadline)
            return
        patience_s = self._client_stall_s if self.sending else self._stall_s
        if now - self.moved_at >= patience_s:
            self._stop("client_stalled" if self.sending else "stalled")
            return
        self._arm(self._next_look(now))

    def _next_look(self, now: float) -> float:
        """When the next pause could be too long."""
        shortest_s = min(self._stall_s, self._client_stall_s)
        return min(self.deadline, max(now + shortest_s / 4, self.moved_at + shortest_s))

    def _stop(self, kind: Kind) -> None:
        if self._stopped is None and self._task is not None:
            self._stopped = kind
            self._task.cancel()
