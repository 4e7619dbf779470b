"""One exchange between a client and a revision, and the outcome that it leaves in the evidence, however it ends."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from serin.serve.asgi import Send
from serin.serve.gateway.evidence import EvidenceLog
from serin.serve.gateway.request_id import RequestIdentity
from serin.serve.gateway.upstream import Answer, BrokenStreamError

_CLIENT_CLOSED = 499


class Exchange:
    """Use as a context: leaving it writes the outcome. By intention to treat, a failover is the canary's failure."""

    def __init__(self, evidence: EvidenceLog, identity: RequestIdentity, clock: Callable[[], float]) -> None:
        self.evidence = evidence
        self.identity = identity
        self.clock = clock
        self.status = 0
        self.error = False
        self.failover = False
        self.ttft_s: float | None = None

    def fails_over(self) -> None:
        """The assigned arm failed before its first byte."""
        self.failover = True
        self.error = True

    def failed(self, status: int) -> None:
        """Nobody could answer; the client gets ``status``."""
        self.status = status
        self.error = True

    def first_byte(self, status: int) -> None:
        """The first byte of the answer is here; after a failover it says nothing about the assigned arm."""
        self.status = status
        if not self.failover:
            self.ttft_s = self.clock() - self.identity.assigned_t

    async def relay(self, answer: Answer, send: Send, deadline: float) -> None:
        """Send the bytes as they come. Raises BrokenStreamError, which must break the connection to the client."""
        try:
            async with asyncio.timeout(max(0.0, deadline - self.clock())):
                async for chunk in answer.chunks():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError as error:
            self.error = True
            raise BrokenStreamError("the answer took longer than serve.request_timeout_s") from error
        except BrokenStreamError:
            self.error = True
            raise
        self.error = self.error or answer.failed
        await send({"type": "http.response.body", "body": b""})

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.status = _CLIENT_CLOSED
        identity = replace(self.identity, failover=self.failover)
        self.evidence.outcome(identity, self.clock(), error=self.error, ttft_s=self.ttft_s, status=self.status)
