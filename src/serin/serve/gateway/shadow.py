"""Mirrored requests: another revision is asked the same, and nobody gets its answer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from serin.serve.gateway.exchange import Exchange
from serin.serve.gateway.finished import Observer
from serin.serve.gateway.question import Question
from serin.serve.gateway.request_id import RequestIdentity
from serin.serve.gateway.upstream import BrokenStreamError, Upstream, UpstreamError
from serin.serve.gateway.watchdog import StoppedError, Watchdog

ARM = "shadow"


class Shadows:
    """At most ``most`` at a time; one beyond that is dropped, and counted as such. None ever delays a client's request."""

    def __init__(
        self, upstream: Upstream, observers: Sequence[Observer], clock: Callable[[], float], most: int, stall_s: float
    ) -> None:
        self.upstream = upstream
        self.observers = observers
        self.clock = clock
        self.most = most
        self.stall_s = stall_s
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self, revision: str, question: Question, identity: RequestIdentity, caller: str | None, timeout_s: float
    ) -> asyncio.Task[None] | None:
        """Ask ``revision`` the same as the request of ``identity``; None where there was no room."""
        shadowed = replace(identity, revision=revision, arm=ARM, weight=0.0, rollout=None)
        exchange = Exchange(self.observers, shadowed, question.path, caller, self.clock, shadow=True)
        if len(self._tasks) >= self.most:
            with exchange:
                exchange.fails("dropped")
            return None
        task = asyncio.get_running_loop().create_task(self._ask(exchange, revision, question, timeout_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, exchange: Exchange, revision: str, question: Question, timeout_s: float) -> None:
        with exchange:
            exchange.asks(question.body)
            try:
                with Watchdog(timeout_s, self.stall_s, self.stall_s, self.clock, receive=None) as watchdog:
                    await self._read(exchange, watchdog, revision, question)
            except (UpstreamError, BrokenStreamError, StoppedError) as error:
                exchange.fails(error.kind)

    async def _read(self, exchange: Exchange, watchdog: Watchdog, revision: str, question: Question) -> None:
        answer = await self.upstream.ask(revision, question, exchange.identity.nonce)
        try:
            exchange.answers(answer, revision)
            watchdog.begin_stream()
            chunk = answer.first
            while chunk:
                watchdog.moved_at = now = self.clock()
                exchange.passes(chunk, now)
                chunk = await answer.next_bytes()
            if answer.failed:
                exchange.fails("stream_error")
        finally:
            exchange.usage = answer.usage
            answer.close()
