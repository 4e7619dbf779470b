"""The gateway: an ASGI application that picks a revision for each request and relays its bytes.

POST /v1/chat/completions, /v1/completions   relayed; failover to stable before the first byte
GET  /v1/models                              what can be asked for
POST /v1/feedback                            a score for an answer, tied to it by its x-request-id
GET  /healthz                                whether the gateway runs, and what it serves
"""

import json
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from serin.clients.serving_state import ServingState
from serin.core.errors import InputError
from serin.serve.choice import PRODUCTION, Choice, NoStableError, UnknownModelError, choose, unit_of
from serin.serve.evidence import EvidenceLog
from serin.serve.http import (
    DisconnectedError,
    Headers,
    TooLargeError,
    header,
    read_body,
    send_error,
    send_json,
)
from serin.serve.middleware import Receive, Scope, Send
from serin.serve.relay import Exchange
from serin.serve.request_id import ForgedIdError, RequestIdentity, sign, unit_hash, verify
from serin.serve.upstream import Answer, Upstream, UpstreamError
from serin.serve.watch import StateWatcher

_BODY_LIMIT_BYTES = 8 << 20
_RELAYED = ("/v1/chat/completions", "/v1/completions")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """``base_url`` leads to every revision's route; ``signing_key`` outlives restarts."""

    base_url: str
    secret: str
    signing_key: bytes
    request_timeout_s: float
    canary_first_byte_timeout_s: float


class Gateway:
    """One replica. ``start`` must run inside the event loop that serves."""

    def __init__(
        self,
        settings: GatewaySettings,
        state: ServingState,
        replica: str,
        clock: Callable[[], float] = time.time,
        new_nonce: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.settings = settings
        self.watcher = StateWatcher(state, replica)
        self.evidence = EvidenceLog(state.evidence_path(replica))
        self.clock = clock
        self.new_nonce = new_nonce
        self.upstream: Upstream | None = None

    async def start(self) -> None:
        """Open the pool and follow the state folder."""
        self.upstream = Upstream(self.settings.base_url, self.settings.secret)
        self.watcher.start()

    async def close(self) -> None:
        """Let everything go."""
        await self.watcher.stop()
        if self.upstream is not None:
            await self.upstream.close()
        self.evidence.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        handlers = {
            **{("POST", relayed): self._complete for relayed in _RELAYED},
            ("POST", "/v1/feedback"): self._feedback,
            ("GET", "/v1/models"): self._models,
            ("GET", "/healthz"): self._health,
        }
        handler = handlers.get((method, path))
        if handler is not None:
            await handler(scope, receive, send)
        elif any(known == path for _, known in handlers):
            await send_error(send, 405, f"{path} does not take {method}", "invalid_request_error")
        else:
            await send_error(send, 404, f"no such path: {path}", "invalid_request_error")

    async def _health(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a handler's shape
        weights = self.watcher.weights
        value = {
            "status": "ok",
            "stable": weights.stable,
            "canary": weights.canary,
            "canary_weight": weights.canary_weight,
            "weights_version": weights.version,
            "running": sorted(self.watcher.running),
        }
        await send_json(send, 200, value)

    async def _models(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a handler's shape
        weights = self.watcher.weights
        served = [r for r in (weights.stable, weights.canary) if r is not None]
        names = sorted({r.partition("@")[0] for r in served}) or [PRODUCTION]
        revisions = sorted(self.watcher.running | set(served))
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "serin"} for name in [*names, *revisions]]
        await send_json(send, 200, {"object": "list", "data": data})

    async def _feedback(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a handler's shape
        value = await self._json_body(receive, send)
        if value is None:
            return
        score, request_id = value.get("score"), value.get("request_id")
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            await send_error(send, 400, f"score {score!r}: must be a number from 0 to 1", "invalid_request_error")
            return
        try:
            identity = verify(str(request_id), self.settings.signing_key)
        except ForgedIdError as error:
            await send_error(send, 403, str(error), "forbidden")
        except InputError as error:
            await send_error(send, 400, str(error), "invalid_request_error")
        else:
            self.evidence.feedback(identity, self.clock(), float(score))
            await send_json(send, 200, {"status": "recorded", "request": identity.nonce})

    async def _complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        value = await self._json_body(receive, send)
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
        assert self.upstream is not None
        body = json.dumps({**value, "model": revision}).encode()
        headers = {"content-type": "application/json", "x-request-id": exchange.identity.nonce}
        return await self.upstream.ask(revision, "POST", path, body, headers, timeout_s)

    def _headers(self, exchange: Exchange, revision: str) -> Headers:
        identity = replace(exchange.identity, failover=exchange.failover)
        return [
            (b"x-serin-revision", revision.encode()),
            (b"x-request-id", sign(identity, self.settings.signing_key).encode()),
        ]

    async def _json_body(self, receive: Receive, send: Send) -> dict[str, Any] | None:
        """The request's JSON object, or None after an error has been answered."""
        try:
            value = json.loads(await read_body(receive, _BODY_LIMIT_BYTES))
        except DisconnectedError:
            return None
        except TooLargeError as error:
            await send_error(send, 413, str(error), "invalid_request_error")
            return None
        except (ValueError, RecursionError) as error:
            await send_error(send, 400, f"the body is not JSON ({error})", "invalid_request_error")
            return None
        if not isinstance(value, dict):
            await send_error(send, 400, "the body must be a JSON object", "invalid_request_error")
            return None
        return value
