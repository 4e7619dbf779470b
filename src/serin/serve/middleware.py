"""ASGI middleware of the processes that Ray starts; the import paths below are named in ``settings``.

``RequireSecret`` stands in front of every path of a revision (vLLM's ``middleware`` argument: its own API key leaves
``/tokenize`` and others open). ``http_middlewares`` is what Ray Serve calls for the outermost layer of a replica.
"""

import hmac
import os
from typing import Any

from serin.serve.asgi import App, Message, Receive, Scope, Send

SECRET_HEADER = "x-serin-secret"
SECRET_VARIABLE = "SERIN_SERVE_SECRET"
_REFUSAL = b'{"error":{"message":"revisions answer the gateway only","type":"unauthorized","code":401}}'
_REFUSAL_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_REFUSAL)).encode())]


class RequireSecret:
    """Answers 401 to whoever does not know the secret of this start."""

    def __init__(self, app: App, secret: str | None = None) -> None:
        self.app = app
        self.secret = (secret if secret is not None else os.environ[SECRET_VARIABLE]).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(SECRET_HEADER.encode(), b"")
        if hmac.compare_digest(given, self.secret):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
        else:
            # As websocket.http.response.start where a websocket was asked for: the handshake is what is answered.
            prefix = "websocket." if scope["type"] == "websocket" else ""
            await send({"type": f"{prefix}http.response.start", "status": 401, "headers": _REFUSAL_HEADERS})
            await send({"type": f"{prefix}http.response.body", "body": _REFUSAL})


class OneRequestId:
    """Keeps the first ``x-request-id`` of an answer: Ray Serve appends its own to the gateway's signed one."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen = False
                kept = []
                for name, value in message["headers"]:
                    if name.lower() == b"x-request-id":
                        if seen:
                            continue
                        seen = True
                    kept.append((name, value))
                message["headers"] = kept
            await send(message)

        await self.app(scope, receive, send_once)


def http_middlewares() -> list[Any]:
    """What Ray Serve puts around each replica's HTTP server."""
    from starlette.middleware import Middleware

    return [Middleware(OneRequestId)]
