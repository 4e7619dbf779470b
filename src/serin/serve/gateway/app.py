"""The gateway: one ASGI application, and which of its parts answers which request.

POST /v1/chat/completions, /v1/completions, …   relayed (see ``endpoints``); failover to stable before the first byte
GET  /v1/models, /v1/models/<name>              what can be asked for
POST /v1/feedback                               a score for an answer, tied to it by its x-request-id
GET  /healthz                                   whether the gateway runs, and what it serves
"""

import time
import uuid
from collections.abc import Awaitable, Callable

from serin.clients.serving_state import ServingState
from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.endpoints import ENDPOINTS
from serin.serve.gateway.evidence import EvidenceLog
from serin.serve.gateway.feedback import Feedback
from serin.serve.gateway.finished import Observer
from serin.serve.gateway.http import send_error
from serin.serve.gateway.models import Models
from serin.serve.gateway.relay import Relay
from serin.serve.gateway.settings import GatewaySettings
from serin.serve.gateway.upstream import Upstream
from serin.serve.gateway.watch import StateWatcher

_MODEL = "/v1/models/"

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


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
        self.watcher = StateWatcher(state, replica)
        self.evidence = EvidenceLog(state.evidence_path(replica), clock)
        self.upstream = Upstream(settings.base_url, settings.secret)
        self.observers: list[Observer] = [self.evidence]
        self.relay = Relay(settings, self.watcher, self.upstream, self.observers, clock, time.monotonic, new_nonce)
        self.models = Models(self.watcher)
        self.handlers: dict[tuple[str, str], Handler] = {
            **{("POST", path): self.relay for path in ENDPOINTS},
            ("POST", "/v1/feedback"): Feedback(settings, self.evidence, clock),
            ("GET", "/v1/models"): self.models.list,
            ("GET", "/healthz"): self.models.health,
        }
        self.paths = {path for _, path in self.handlers}

    async def start(self) -> None:
        """Open the pool and follow the state folder."""
        self.upstream.open()
        await self.watcher.start()

    async def close(self) -> None:
        """Let everything go."""
        await self.watcher.stop()
        await self.relay.close()
        await self.upstream.close()
        self.evidence.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        handler = self.handlers.get((method, path))
        if handler is not None:
            await handler(scope, receive, send)
        elif method == "GET" and path.startswith(_MODEL):
            await self.models.one(send, path.removeprefix(_MODEL))
        elif path in self.paths:
            await send_error(send, 405, f"{path} does not take {method}", "invalid_request_error")
        else:
            await send_error(send, 404, f"no such path: {path}", "invalid_request_error")
