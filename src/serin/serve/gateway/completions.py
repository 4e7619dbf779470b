"""Requests that a revision answers: choose it, relay its bytes, and let stable answer where a canary fails beforehand."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.choice import Choice, NoStableError, UnknownModelError, choose, unit_of
from serin.serve.gateway.evidence import EvidenceLog
from serin.serve.gateway.exchange import Exchange
from serin.serve.gateway.http import Headers, header, read_json_object, send_error
from serin.serve.gateway.request_id import RequestIdentity, sign, unit_hash
from serin.serve.gateway.settings import GatewaySettings
from serin.serve.gateway.upstream import Answer, Upstream, UpstreamError
from serin.serve.gateway.watch import StateWatcher

RELAYED = ("/v1/chat/completions", "/v1/completions")


class Completions:
    """The handler of every relayed path."""

    def __init__(
        self,
        settings: GatewaySettings,
        watcher: StateWatcher,
        upstream: Upstream,
        evidence: EvidenceLog,
        clock: Callable[[], float],
        new_nonce: Callable[[], str],
    ) -> None:
        self.settings = settings
        self.watcher = watcher
        self.upstream = upstream
        self.evidence = evidence
        self.clock = clock
        self.new_nonce = new_nonce

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        value = await read_json_object(receive, send)
        if value is None:
            return
        nonce = self.new_nonce()
        unit = unit_of(header(scope, b"x-serin-user"), value, nonce)
        model = value.get("model")
        try:
            choice = choose(model if isinstance(model, str) else None, unit, self.watcher.weights, self.watcher.running)
        except NoStableError as error:
            await send_error(send, 503, str(error), "service_unavailable", [(b"retry-after", b"5")])
            return
        except UnknownModelError as error:
            await send_error(send, 404, str(error), "model_not_found")
            return
        identity = RequestIdentity(
            nonce=nonce,
            revision=choice.revision,
            unit=unit_hash(unit, self.settings.signing_key),
            arm=choice.arm,
            weight=choice.weight,
            rollout=choice.rollout,
            assigned_t=self.clock(),
        )
        exchange = Exchange(self.evidence, identity, self.clock)
        with exchange:
            await self._relay(exchange, choice, scope["path"], value, send)

    async def _relay(self, exchange: Exchange, choice: Choice, path: str, value: dict[str, Any], send: Send) -> None:
        deadline = exchange.identity.assigned_t + self.settings.request_timeout_s
        try:
            revision, answer = await self._answer(exchange, choice, path, value, deadline)
        except UpstreamError as error:
            exchange.failed(504 if error.timed_out else 502)
            kind = "timeout" if error.timed_out else "bad_gateway"
            await send_error(send, exchange.status, str(error), kind, self._headers(exchange, choice.revision))
            return
        try:
            exchange.first_byte(answer.status)
            lines = [*answer.headers(), *self._headers(exchange, revision)]
            await send({"type": "http.response.start", "status": answer.status, "headers": lines})
            await exchange.relay(answer, send, deadline)
        finally:
            answer.close()

    async def _answer(
        self, exchange: Exchange, choice: Choice, path: str, value: dict[str, Any], deadline: float
    ) -> tuple[str, Answer]:
        """The answer and the revision that gave it. Raises UpstreamError where stable failed, or nobody may help."""
        if choice.fallback is None:
            return choice.revision, await self._ask(exchange, choice.revision, path, value, deadline - self.clock())
        if choice.revision in self.watcher.running:
            timeout_s = min(self.settings.canary_first_byte_timeout_s, deadline - self.clock())
            with suppress(UpstreamError):
                return choice.revision, await self._ask(exchange, choice.revision, path, value, timeout_s)
        exchange.fails_over()
        return choice.fallback, await self._ask(exchange, choice.fallback, path, value, deadline - self.clock())

    async def _ask(
        self, exchange: Exchange, revision: str, path: str, value: dict[str, Any], timeout_s: float
    ) -> Answer:
        body = json.dumps({**value, "model": revision}).encode()
        headers = {"content-type": "application/json", "x-request-id": exchange.identity.nonce}
        return await self.upstream.ask(revision, "POST", path, body, headers, timeout_s)

    def _headers(self, exchange: Exchange, revision: str) -> Headers:
        identity = replace(exchange.identity, failover=exchange.failover)
        return [
            (b"x-serin-revision", revision.encode()),
            (b"x-request-id", sign(identity, self.settings.signing_key).encode()),
        ]
