"""The gateway: one ASGI application, and which of its parts answers which request.

POST /v1/chat/completions, /v1/completions, …   relayed (see ``endpoints``); failover to stable before the first byte
GET  /v1/models, /v1/models/<name>              what can be asked for
POST /v1/feedback                               a score for an answer, tied to it by its x-request-id
GET  /healthz                                   whether the gateway runs, and what it serves
GET  /openapi.json                              this, for machines
GET  /admin/v1/state, POST …/drain, …/resume     for operators
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from serin.clients.evidence import EvidenceWriter
from serin.clients.evidence.folder import FolderWriter
from serin.clients.serving_state import ServingState
from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.access.control import AccessControl
from serin.serve.gateway.access.ledger import LedgerClient
from serin.serve.gateway.admin import Admin
from serin.serve.gateway.description import describe
from serin.serve.gateway.endpoints import ENDPOINTS
from serin.serve.gateway.evidence import EvidenceLog
from serin.serve.gateway.feedback import Feedback
from serin.serve.gateway.finished import Observer
from serin.serve.gateway.http import send_error
from serin.serve.gateway.models import Models
from serin.serve.gateway.rating import RatingObserver
from serin.serve.gateway.refusals import unheard
from serin.serve.gateway.relay import Relay
from serin.serve.gateway.settings import GatewaySettings
from serin.serve.gateway.telemetry.telemetry import Standing, Telemetry
from serin.serve.gateway.upstream import Upstream
from serin.serve.gateway.watch import StateWatcher

if TYPE_CHECKING:  # needs what only those who capture have to import
    from serin.serve.gateway.capture.capture import Capture

_MODEL = "/v1/models/"

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gateway:
    """One replica. ``start`` must run inside the event loop that serves.

    Args:
        ledger: what all replicas share; None where there is no other one.
        evidence: where rows for rollouts go; None: into the folder of the state.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        state: ServingState,
        replica: str,
        clock: Callable[[], float] = time.time,
        new_nonce: Callable[[], str] = lambda: uuid.uuid4().hex,
        ledger: LedgerClient | None = None,
        evidence: EvidenceWriter | None = None,
        telemetry: Telemetry | None = None,
        capture: "Capture | None" = None,
    ) -> None:
        self.watcher = StateWatcher(state, replica)
        count_loss = (lambda: None) if telemetry is None else telemetry.metrics.lost_lines.labels("evidence").inc
        self.evidence = EvidenceLog(evidence or FolderWriter(state.evidence_path(replica)), clock, count_loss)
        self.telemetry = telemetry
        self.capture = capture
        self.upstream = Upstream(settings.base_url, settings.secret)
        refused = unheard if telemetry is None else telemetry.metrics.refused
        self.access = AccessControl(
            settings.access, settings.max_model_len, ledger, replica, refused, clock, time.monotonic
        )
        self.observers: list[Observer] = [self.evidence, self.access.tokens]
        rated: list[RatingObserver] = [self.evidence]
        if telemetry is not None:
            self.observers += telemetry.observers
            rated += telemetry.observers
        if capture is not None:
            self.observers.append(capture)
            rated.append(capture)
        self.relay = Relay(
            settings,
            self.watcher,
            self.upstream,
            self.access.tokens,
            self.observers,
            refused,
            clock,
            time.monotonic,
            new_nonce,
        )
        self.models = Models(self.watcher)
        self.admin = Admin(replica, self.watcher, self.relay, self.access)
        self.handlers: dict[tuple[str, str], Handler] = {
            **{("POST", path): self.relay for path in ENDPOINTS},
            ("POST", "/v1/feedback"): Feedback(settings, rated, refused, clock),
            ("GET", "/v1/models"): self.models.list,
            ("GET", "/healthz"): self.models.health,
            ("GET", "/openapi.json"): describe,
            ("GET", "/admin/v1/state"): self.admin.state,
            ("POST", "/admin/v1/drain"): self.admin.drain,
            ("POST", "/admin/v1/resume"): self.admin.resume,
        }
        self.paths = {path for _, path in self.handlers}
        self.guard = self.access.guard(self._route)

    async def start(self) -> None:
        """Follow the state folder."""
        self.access.start()
        await self.watcher.start()
        if self.telemetry is not None:
            self.telemetry.start(lambda: Standing(self.watcher.weights, dict(self.relay.admission.by_revision)))
        if self.capture is not None:
            self.capture.start()

    async def close(self) -> None:
        """Let everything go."""
        await self.watcher.stop()
        await self.access.stop()
        await self.relay.close()
        await self.upstream.close()
        if self.capture is not None:
            await asyncio.to_thread(self.capture.close)
        if self.telemetry is not None:
            await self.telemetry.close()
        await asyncio.to_thread(self.evidence.close)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self.guard(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
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

    async def _live(self, receive: Receive, send: Send) -> None:
        """Ray Serve says here that a replica has answered its last request."""
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})
