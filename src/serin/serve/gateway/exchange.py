"""One exchange between a client and a revision, and the record that it leaves with every observer, however it ends."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType

from serin.serve.gateway.finished import Bodies, Finished, Kind, Observer
from serin.serve.gateway.request_id import RequestIdentity
from serin.serve.gateway.upstream import Answer
from serin.serve.gateway.usage import Usage

_CLIENT_CLOSED = 499
_NO_FAULT = frozenset[Kind]({"bad_request", "client_closed", "client_stalled", "dropped"})
"""What a request may end with although the assigned arm did not fail."""
_KEPT_BYTES = 8 << 20
"""Of an answer; an event of a stream takes 250 bytes or so for one token."""


class Exchange:
    """Use as a context: leaving it tells the observers. By intention to treat, a failover is the canary's failure.

    ``clock`` gives monotonic seconds; wall time stands in ``identity`` alone, so that a clock that is set disturbs nothing.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        identity: RequestIdentity,
        path: str,
        caller: str | None,
        clock: Callable[[], float],
        shadow: bool = False,
    ) -> None:
        self.observers = observers
        self.identity = identity
        self.path = path
        self.caller = caller
        self.clock = clock
        self.shadow = shadow
        self.began = clock()
        self.status = 0
        self.kind: Kind | None = None
        self.failover = False
        self.answered_by: str | None = None
        self.streamed = False
        self.usage = Usage()
        self._lacking = False
        self._first: float | None = None
        self._last: float | None = None
        self._readers = [observer for observer in observers if observer.wants_bodies(identity)]
        self._asked = b""
        self._kept: list[bytes] = []
        self._room_bytes = _KEPT_BYTES if self._readers else 0

    @property
    def error(self) -> bool:
        """Whether the assigned arm failed."""
        return self.kind is not None and self.kind not in _NO_FAULT

    def asks(self, body: bytes) -> None:
        """What the client sent."""
        if self._readers:
            self._asked = body

    def fails_over(self, kind: Kind, lacking: bool = False) -> None:
        """The assigned arm failed before its first byte; ``lacking`` where it said that it has no such path."""
        self.failover = True
        self.kind = kind
        self._lacking = lacking

    def fails(self, kind: Kind) -> None:
        """It went wrong; what went wrong first stays."""
        if self.kind is None:
            self.kind = kind

    def answers(self, answer: Answer, revision: str) -> None:
        """The first byte of the answer is here, ``revision``'s; after a failover it says nothing about the assigned arm."""
        self.status = answer.status
        self.answered_by = revision
        self.streamed = answer.events is not None
        self._first = self._last = self.clock()
        if answer.kind is not None:
            self.fails(answer.kind)
        if answer.lacking and not self.shadow and (self._lacking or not self.failover):
            # Stable has no such path, so it was the request that was at fault.
            self.kind = "bad_request"

    def passes(self, chunk: bytes, now: float) -> None:
        """More of the answer came, at ``now``."""
        self._last = now
        if self._room_bytes > 0:
            self._kept.append(chunk[: self._room_bytes])
            self._room_bytes -= len(chunk)

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.fails("client_closed")
        if self.kind == "client_closed":
            self.status = _CLIENT_CLOSED
        record = self._record()
        read = replace(record, bodies=Bodies(self._asked, b"".join(self._kept))) if self._readers else record
        for observer in self.observers:
            observer.finished(read if observer in self._readers else record)

    def _record(self) -> Finished:
        measured = self._first is not None and not self.failover
        return Finished(
            identity=replace(self.identity, failover=True) if self.failover else self.identity,
            path=self.path,
            caller=self.caller,
            status=self.status,
            error=self.error,
            kind=self.kind,
            ttft_s=self._first - self.began if measured and self._first is not None else None,
            tpot_s=self._tpot_s() if measured else None,
            duration_s=self.clock() - self.began,
            prompt_tokens=self.usage.prompt_tokens,
            completion_tokens=self.usage.completion_tokens,
            failover=self.failover,
            streamed=self.streamed,
            shadow=self.shadow,
            answered_by=self.answered_by,
        )

    def _tpot_s(self) -> float | None:
        tokens = self.usage.completion_tokens
        if not self.streamed or tokens is None or tokens < 2 or self._first is None or self._last is None:
            return None
        return (self._last - self._first) / (tokens - 1)
