"""Requests that a revision answers: choose it, relay its bytes, and let stable answer where another fails beforehand."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from serin.core.errors import ServingError
from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.access.guard import CALLER, body_limits, send_limited
from serin.serve.gateway.access.keys import Caller
from serin.serve.gateway.access.tokens import TokenAllowance, TooLongError, length_asked
from serin.serve.gateway.admission import RETRY_AFTER_S, Admission, FullError
from serin.serve.gateway.choice import (
    OVERRIDE_HEADER,
    Choice,
    ForbiddenChoiceError,
    NoStableError,
    StartingModelError,
    UnknownModelError,
    choose,
    may_choose,
    shadow_of,
    unit_of,
)
from serin.serve.gateway.exchange import Exchange
from serin.serve.gateway.finished import Kind, Observer
from serin.serve.gateway.http import Headers, read_json_body, send_error
from serin.serve.gateway.question import Question
from serin.serve.gateway.refusals import Refusal, Refused
from serin.serve.gateway.request_id import RequestIdentity, sign, unit_hash
from serin.serve.gateway.settings import GatewaySettings
from serin.serve.gateway.shadow import Shadows
from serin.serve.gateway.upstream import Answer, BrokenStreamError, Upstream, UpstreamError
from serin.serve.gateway.watch import StateWatcher
from serin.serve.gateway.watchdog import StoppedError, Watchdog

TIMEOUT_HEADER = b"x-request-timeout"
_TRACE_HEADERS = (b"traceparent", b"tracestate")
_STATUS: dict[Kind, int] = {"timeout": 504, "stalled": 504, "throttled": 429, "unreachable": 503}
_REFUSALS: dict[type[ServingError], Refusal] = {
    NoStableError: "no_stable",
    ForbiddenChoiceError: "override",
    UnknownModelError: "model",
    StartingModelError: "starting",
}
_TYPES = {429: "rate_limit_exceeded", 502: "bad_gateway", 503: "service_unavailable", 504: "timeout"}


class Relay:
    """The handler of every path of ``ENDPOINTS``."""

    def __init__(
        self,
        settings: GatewaySettings,
        watcher: StateWatcher,
        upstream: Upstream,
        tokens: TokenAllowance,
        observers: Sequence[Observer],
        refused: Refused,
        wall_clock: Callable[[], float],
        clock: Callable[[], float],
        new_nonce: Callable[[], str],
    ) -> None:
        self.settings = settings
        self.watcher = watcher
        self.upstream = upstream
        self.tokens = tokens
        self.draining = False
        """Whether new requests are sent elsewhere."""
        self.observers = observers
        self.refused = refused
        self.wall_clock = wall_clock
        self.clock = clock
        self.new_nonce = new_nonce
        bounds = settings.relay
        self.admission = Admission(bounds.max_in_flight, bounds.max_in_flight_per_revision)
        self.shadows = Shadows(upstream, observers, clock, bounds.max_shadows, bounds.stall_timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.draining:
            self.refused("draining")
            lines = [(b"retry-after", str(RETRY_AFTER_S).encode()), (b"connection", b"close")]
            await send_error(send, 503, "this gateway is being drained: try again", "service_unavailable", lines)
            return
        caller: Caller | None = scope.get(CALLER)
        read = await read_json_body(scope, receive, send, body_limits(self.settings.body, caller))
        if read is None:
            self.refused("body")
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        body, value = read
        nonce = self.new_nonce()
        try:
            timeout_s = self._timeout_s(headers.get(TIMEOUT_HEADER))
            added = length_asked(scope["path"], value, None if caller is None else caller.key)
        except (ValueError, TooLongError) as error:
            self.refused("body")
            await send_error(send, 400, str(error), "invalid_request_error", [(b"x-request-id", nonce.encode())])
            return
        passed = {name.decode(): headers[name] for name in _TRACE_HEADERS if name in headers}
        question = Question(scope["path"], body, value, passed, added)
        caller_id = None if caller is None else caller.key_id
        unit = unit_of(headers, value, caller_id, nonce)
        try:
            choice = self._choose(value.get("model"), unit, headers, None if caller is None else caller.scopes)
        except tuple(_REFUSALS) as error:
            self.refused(_REFUSALS[type(error)])
            await _refuse(send, error, nonce)
            return
        admission = await self.tokens.admit(caller, nonce, scope["path"], body, {**value, **added})
        if not admission.admitted:
            self.refused("key_tokens")
            await send_limited(send, admission)
            return
        identity = RequestIdentity(
            nonce=nonce,
            revision=choice.revision,
            unit=unit_hash(unit, self.settings.unit_key),
            arm=choice.arm,
            weight=choice.weight,
            rollout=choice.rollout,
            assigned_t=self.wall_clock(),
        )
        with Exchange(self.observers, identity, question.path, caller_id, self.clock) as exchange:
            exchange.asks(body)
            exchange.streamed = question.streamed
            await self._exchange(exchange, choice, question, timeout_s, receive, send)

    async def close(self) -> None:
        """End what runs beside the requests."""
        await self.shadows.close()

    def _timeout_s(self, asked: str | None) -> float:
        longest_s = self.settings.request_timeout_s
        if asked is None:
            return longest_s
        try:
            timeout_s = float(asked)
        except ValueError:
            timeout_s = 0.0
        if not timeout_s > 0.0:
            raise ValueError(f"{TIMEOUT_HEADER.decode()} {asked!r}: must be seconds, above 0")
        return min(timeout_s, longest_s)

    def _choose(self, model: object, unit: str, headers: dict[bytes, str], scopes: frozenset[str] | None) -> Choice:
        return choose(
            model if isinstance(model, str) else None,
            unit,
            self.watcher.weights,
            self.watcher.running,
            self.watcher.starting,
            headers.get(OVERRIDE_HEADER),
            may_choose(scopes),
        )

    async def _exchange(
        self,
        exchange: Exchange,
        choice: Choice,
        question: Question,
        timeout_s: float,
        receive: Receive,
        send: Send,
    ) -> None:
        bounds = self.settings.relay
        shadow: asyncio.Task[None] | None = None
        try:
            with (
                self.admission.enter(),
                Watchdog(
                    timeout_s, bounds.stall_timeout_s, bounds.client_stall_timeout_s, self.clock, receive
                ) as watchdog,
            ):
                mirrored = shadow_of(exchange.identity.nonce, self.watcher.weights)
                if mirrored is not None and mirrored in self.watcher.running:
                    shadow = self.shadows.start(mirrored, question, exchange.identity, exchange.caller, timeout_s)
                revision, answer = await self._answer(exchange, choice, question, watchdog)
                try:
                    await self._relay(exchange, answer, revision, watchdog, send)
                finally:
                    exchange.usage = answer.usage
                    answer.close()
                    self.admission.release(revision)
        except FullError as error:
            await self._fail(exchange, choice, "throttled", str(error), send)
        except UpstreamError as error:
            await self._fail(exchange, choice, error.kind, str(error), send)
        except BrokenStreamError as error:
            exchange.fails(error.kind)
            raise
        except StoppedError as error:
            exchange.fails(error.kind)
            if error.kind == "client_closed":
                _cancel(shadow)
            elif exchange.status == 0:
                await self._fail(exchange, choice, error.kind, f"no answer in {timeout_s:g} s: {error}", send)
            else:
                raise BrokenStreamError(error.kind, str(error)) from error
        except asyncio.CancelledError:
            _cancel(shadow)
            raise

    async def _answer(
        self, exchange: Exchange, choice: Choice, question: Question, watchdog: Watchdog
    ) -> tuple[str, Answer]:
        """The answer and the revision that gave it. Raises UpstreamError, FullError where nobody may help."""
        if choice.fallback is None:
            return choice.revision, await self._last_answer(exchange, choice.revision, question)
        answer = await self._first_answer(exchange, choice.revision, question, watchdog)
        if answer is not None:
            return choice.revision, answer
        return choice.fallback, await self._last_answer(exchange, choice.fallback, question)

    async def _first_answer(
        self, exchange: Exchange, revision: str, question: Question, watchdog: Watchdog
    ) -> Answer | None:
        """The assigned revision's answer; None after its failure, which the fallback makes good."""
        if revision not in self.watcher.running:
            exchange.fails_over("unreachable")
            return None
        # Half of the time is left to the fallback. Without a stream the first byte is the last one too.
        timeout_s = watchdog.left_s() / 2
        if question.streamed:
            timeout_s = min(timeout_s, self.settings.canary_first_byte_timeout_s)
        try:
            answer = await self._ask(exchange, revision, question, timeout_s)
        except FullError:
            exchange.fails_over("throttled")
            return None
        except UpstreamError as error:
            exchange.fails_over(error.kind)
            return None
        if answer.kind is None or answer.kind == "bad_request":
            return answer
        exchange.fails_over(answer.kind, lacking=answer.lacking)
        self._drop(revision, answer)
        return None

    async def _last_answer(self, exchange: Exchange, revision: str, question: Question) -> Answer:
        """Whatever this revision answers, in the time that the watchdog allows: there is nobody else."""
        answer = await self._ask(exchange, revision, question, None)
        if answer.kind == "refused" and not answer.lacking:
            self._drop(revision, answer)
            raise UpstreamError(revision, "refused", f"refused the gateway itself ({answer.status})")
        return answer

    async def _ask(self, exchange: Exchange, revision: str, question: Question, timeout_s: float | None) -> Answer:
        self.admission.take(revision)
        try:
            return await self.upstream.ask(revision, question, exchange.identity.nonce, timeout_s)
        except BaseException:
            self.admission.release(revision)
            raise

    def _drop(self, revision: str, answer: Answer) -> None:
        answer.close()
        self.admission.release(revision)

    async def _relay(self, exchange: Exchange, answer: Answer, revision: str, watchdog: Watchdog, send: Send) -> None:
        """Send the bytes as they come. Raises BrokenStreamError, which must break the connection to the client."""
        exchange.answers(answer, revision)
        lines = [*answer.headers(), *self._headers(exchange, revision)]
        await send({"type": "http.response.start", "status": answer.status, "headers": lines})
        if answer.whole:
            exchange.passes(answer.first, self.clock())
            watchdog.stop_listening()
            await send({"type": "http.response.body", "body": answer.first})
            return
        watchdog.begin_stream()
        chunk = answer.first
        while chunk:
            watchdog.moved_at = now = self.clock()
            exchange.passes(chunk, now)
            watchdog.sending = True
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            watchdog.sending = False
            watchdog.moved_at = self.clock()
            chunk = await answer.next_bytes()
        if answer.failed:
            exchange.fails("stream_error")
        watchdog.stop_listening()
        await send({"type": "http.response.body", "body": b""})

    async def _fail(self, exchange: Exchange, choice: Choice, kind: Kind, message: str, send: Send) -> None:
        """Nobody could answer."""
        exchange.fails(kind)
        exchange.status = _STATUS.get(kind, 502)
        lines = self._headers(exchange, choice.revision)
        if exchange.status in (429, 503):
            lines.append((b"retry-after", str(RETRY_AFTER_S).encode()))
        await send_error(send, exchange.status, message, _TYPES[exchange.status], lines)

    def _headers(self, exchange: Exchange, revision: str) -> Headers:
        identity = replace(exchange.identity, failover=True) if exchange.failover else exchange.identity
        return [
            (b"x-serin-revision", revision.encode()),
            (b"x-request-id", sign(identity, self.settings.signing_key).encode()),
        ]


def _cancel(shadow: asyncio.Task[None] | None) -> None:
    if shadow is not None:
        shadow.cancel()


async def _refuse(send: Send, error: ServingError, nonce: str) -> None:
    """Answer a request that no revision was chosen for."""
    lines = [(b"x-request-id", nonce.encode())]
    if isinstance(error, NoStableError | StartingModelError):
        await send_error(send, 503, str(error), "service_unavailable", [*lines, (b"retry-after", b"5")])
    elif isinstance(error, ForbiddenChoiceError):
        await send_error(send, 403, str(error), "forbidden", lines)
    else:
        await send_error(send, 404, str(error), "model_not_found", lines)
