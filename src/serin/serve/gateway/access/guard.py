"""The layer around the gateway that asks for a key, its scope and its limit of requests, before a body is read."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

from serin.serve.asgi import App, Message, Receive, Scope, Send
from serin.serve.gateway.access import keys as access
from serin.serve.gateway.access.guesses import Guesses
from serin.serve.gateway.access.keys import Caller
from serin.serve.gateway.access.limiter import Admission, Limiter
from serin.serve.gateway.http import Headers, header, send_error

CALLER = "serin.caller"
"""Where the request's ``Caller`` stands in its scope."""
_PUBLIC = frozenset({"/healthz", "/openapi.json"})
_BEARER = "bearer "


class Guard:
    """``ring`` gives the keys in force, or None where the gateway runs without keys."""

    def __init__(
        self,
        app: App,
        ring: Callable[[], access.KeyRing | None],
        limiter: Limiter,
        wall_clock: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self.app = app
        self.ring = ring
        self.limiter = limiter
        self.wall_clock = wall_clock
        self.guesses = Guesses(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PUBLIC:
            await self.app(scope, receive, send)
            return
        ring = self.ring()
        if ring is None:
            scope[CALLER] = Caller()
            await self.app(scope, receive, send)
            return
        presented = _presented(scope)
        key = None if presented is None else ring.find(presented, datetime.fromtimestamp(self.wall_clock(), UTC))
        if key is None:
            await self._refuse(scope, send, presented)
            return
        needed = scope_of(scope["path"])
        if needed not in key.scopes:
            given = ", ".join(sorted(key.scopes))
            message = f"this key may not: {scope['path']} needs the scope {needed}, and it has {given}"
            await send_error(send, 403, message, "permission_error")
            return
        scope[CALLER] = Caller(key)
        if needed != "inference":
            await self.app(scope, receive, send)
            return
        admission = await self.limiter.admit(key, "requests", 1.0)
        if admission.admitted:
            await self.app(scope, receive, _with_headers(send, limit_headers(admission)))
        else:
            await send_limited(send, admission)

    async def _refuse(self, scope: Scope, send: Send, presented: str | None) -> None:
        if presented is None:
            message = "no key was given: send the header 'Authorization: Bearer <key>'"
            await send_error(send, 401, message, "invalid_request_error", [(b"www-authenticate", b"Bearer")])
            return
        wait_s = self.guesses.wrong(_source(scope))
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


def _with_headers(send: Send, lines: Headers) -> Send:
    if not lines:
        return send

    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *lines]
        await send(message)

    return send_more


def _presented(scope: Scope) -> str | None:
    value = header(scope, b"authorization")
    if value is None or value[: len(_BEARER)].lower() != _BEARER:
        return None
    return value[len(_BEARER) :].strip()


def _source(scope: Scope) -> str:
    """Whose guess it is: the peer, which behind HAProxy or an ingress is that one. What a client says of itself is no source."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"
