"""The layer around the gateway that asks for a key, its scope and its limit of requests, before a body is read."""

import math
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from serin.core.params.access import is_loopback
from serin.serve.asgi import App, Message, Receive, Scope, Send
from serin.serve.gateway.access import keys as access
from serin.serve.gateway.access.guesses import Guesses
from serin.serve.gateway.access.keys import ApiKey, Caller
from serin.serve.gateway.access.limiter import Admission, Limiter
from serin.serve.gateway.http import BodyLimits, Headers, header, send_error
from serin.serve.gateway.refusals import Refused

CALLER = "serin.caller"
"""Where the request's ``Caller`` stands in its scope."""
_PUBLIC = frozenset({"/healthz", "/openapi.json"})
_BEARER = "bearer "


class Guard:
    """``ring`` gives the keys in force, or None where no key is asked for; ``open``: whether others reach it then;
    ``refused`` is told why somebody was not let in."""

    def __init__(
        self,
        app: App,
        ring: Callable[[], access.KeyRing | None],
        open: bool,
        limiter: Limiter,
        refused: Refused,
        wall_clock: Callable[[], float],
        clock: Callable[[], float],
        new_nonce: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.app = app
        self.ring = ring
        self.open = open
        self.limiter = limiter
        self.refused = refused
        self.wall_clock = wall_clock
        self.new_nonce = new_nonce
        self.guesses = Guesses(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            return
        answer = _Answer(send, self.new_nonce)
        if scope["path"] in _PUBLIC:
            await self.app(scope, receive, answer)
            return
        ring = self.ring()
        if ring is None:
            await self._admit_without_key(scope, receive, answer)
            return
        presented = _presented(scope)
        key = None if presented is None else ring.find(presented, datetime.fromtimestamp(self.wall_clock(), UTC))
        if key is None:
            await self._refuse(scope, answer, presented)
            return
        needed = scope_of(scope["path"])
        if needed not in key.scopes:
            self.refused("scope")
            given = ", ".join(sorted(key.scopes))
            message = f"this key may not: {scope['path']} needs the scope {needed}, and it has {given}"
            await send_error(answer, 403, message, "permission_error")
            return
        scope[CALLER] = Caller(key)
        if needed == "inference":
            await self._admit(key, scope, receive, answer)
        else:
            await self.app(scope, receive, answer)

    async def _admit(self, key: ApiKey, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        with self.limiter.enter(key) as entered:
            if not entered:
                self.refused("key_in_flight")
                lines = [(b"retry-after", b"1")]
                message = f"this key may have {key.limits.max_in_flight} requests under way, and has them"
                await send_error(answer, 429, message, "rate_limit_exceeded", lines)
                return
            admission = await self.limiter.admit(key, "requests", 1.0)
            if not admission.admitted:
                self.refused("key_requests")
                await send_limited(answer, admission)
                return
            answer.lines += limit_headers(admission)
            await self.app(scope, receive, answer)

    async def _admit_without_key(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        """Without keys a page of any web site could ask through the browser of who runs the gateway; it says who it is."""
        origin = header(scope, b"origin")
        if origin is not None and not _is_of_this_machine(origin):
            self.refused("origin")
            message = f"a page of {origin:.100} may not ask: without keys, only pages of this machine may"
            await send_error(answer, 403, message, "permission_error")
            return
        if self.open and scope_of(scope["path"]) == "admin":
            self.refused("no_operators")
            message = "others reach this gateway, and it asks for no key: serve.access.keys makes operators known to it"
            await send_error(answer, 403, message, "permission_error")
            return
        scope[CALLER] = Caller()
        await self.app(scope, receive, answer)

    async def _refuse(self, scope: Scope, send: Send, presented: str | None) -> None:
        if presented is None:
            self.refused("no_key")
            message = "no key was given: send the header 'Authorization: Bearer <key>'"
            await send_error(send, 401, message, "invalid_request_error", [(b"www-authenticate", b"Bearer")])
            return
        wait_s = self.guesses.wrong(_source(scope))
        self.refused("guessing" if wait_s > 0 else "wrong_key")
        if wait_s > 0:
            lines = [(b"retry-after", str(math.ceil(wait_s)).encode())]
            await send_error(send, 429, "too many wrong keys came from your address", "rate_limit_exceeded", lines)
        else:
            message = "the key that was given is not known here, or has expired"
            await send_error(send, 401, message, "invalid_api_key", [(b"www-authenticate", b"Bearer")])


def scope_of(path: str) -> access.Scope:
    """The scope that a path needs."""
    if path.startswith("/admin/"):
        return "admin"
    return "feedback" if path == "/v1/feedback" else "inference"


def body_limits(limits: BodyLimits, caller: Caller | None) -> BodyLimits:
    """The limits of a body, where a key may have narrower ones."""
    most = None if caller is None else caller.limits.max_body_bytes
    return limits if most is None else replace(limits, most_bytes=min(most, limits.most_bytes))


def limit_headers(admission: Admission) -> Headers:
    """A limit's state, in the names that OpenAI's clients know; none where there is no limit."""
    if not admission.limit:
        return []
    unit = admission.unit.encode()
    lines = [
        (b"x-ratelimit-limit-" + unit, f"{admission.limit:g}".encode()),
        (b"x-ratelimit-remaining-" + unit, str(int(admission.left)).encode()),
    ]
    if not admission.admitted:
        lines.append((b"x-ratelimit-reset-" + unit, f"{admission.wait_s:.3f}s".encode()))
    return lines


async def send_limited(send: Send, admission: Admission) -> None:
    """Answer 429, and when to come back."""
    lines = [*limit_headers(admission), (b"retry-after", str(math.ceil(admission.wait_s)).encode())]
    message = (
        f"this key may use {admission.limit:g} {admission.unit} a minute, and has used them: "
        f"try again in {admission.wait_s:.1f} s"
    )
    await send_error(send, 429, message, "rate_limit_exceeded", lines)


def _is_of_this_machine(origin: str) -> bool:
    try:
        return is_loopback(urlsplit(origin).hostname or "")
    except ValueError:
        return False


class _Answer:
    """Sends an answer with ``lines`` among its headers, and an id if the handler gave it none."""

    def __init__(self, send: Send, new_nonce: Callable[[], str]) -> None:
        self.send = send
        self.new_nonce = new_nonce
        self.lines: Headers = []

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            headers = [*message["headers"], *self.lines]
            if not any(name == b"x-request-id" for name, _ in headers):
                headers.append((b"x-request-id", self.new_nonce().encode()))
            message["headers"] = headers
        return self.send(message)


def _presented(scope: Scope) -> str | None:
    value = header(scope, b"authorization")
    if value is None:
        return header(scope, b"x-api-key")  # as clients of /v1/messages send it
    if value[: len(_BEARER)].lower() != _BEARER:
        return None
    return value[len(_BEARER) :].strip()


def _source(scope: Scope) -> str:
    """Whose guess it is: the peer, which behind HAProxy or an ingress is that one. What a client says of itself is no source."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"
