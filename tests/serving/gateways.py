"""A gateway under uvicorn, as Ray Serve runs it, in front of revisions that are not there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from serin.clients.evidence import EvidenceWriter
from serin.clients.serving_state import FolderState, RevisionStatus, Weights
from serin.core.params import AccessParams, GatewayParams
from serin.serve.asgi import App
from serin.serve.gateway.app import Gateway
from serin.serve.gateway.capture.capture import Capture
from serin.serve.gateway.finished import Finished
from serin.serve.gateway.request_id import RequestIdentity
from serin.serve.gateway.settings import GatewaySettings
from serin.serve.gateway.telemetry.telemetry import Telemetry

from .fake_revisions import SECRET, FakeRevision, FakeRevisions, fake_revisions

STABLE = "law-qa@aaaaaaaa"
CANARY = "law-qa@bbbbbbbb"
OTHER = "law-qa@cccccccc"
SIGNING_KEY = b"k" * 32


@dataclass
class Watching:
    """An observer that keeps what it is told."""

    bodies: bool = False
    records: list[Finished] = field(default_factory=list)

    def wants_bodies(self, identity: RequestIdentity) -> bool:  # noqa: ARG002 - an observer's shape
        return self.bodies

    def finished(self, record: Finished) -> None:
        self.records.append(record)

    async def told(self, count: int = 1) -> list[Finished]:
        """What was told, once there are ``count`` of them; a client may be done before the gateway is."""
        await until(lambda: len(self.records) >= count)
        return self.records


@dataclass
class Stand:
    """What a test has in its hands."""

    url: str
    gateway: Gateway
    revisions: FakeRevisions
    state: FolderState
    seen: Watching
    http: aiohttp.ClientSession

    @property
    def stable(self) -> FakeRevision:
        return self.revisions[STABLE]

    @property
    def canary(self) -> FakeRevision:
        return self.revisions[CANARY]

    def split(self, **weights: Any) -> None:
        """Change the weights, and let the gateway follow at once."""
        self.state.change_weights(lambda present: replace(present, **weights))
        self.gateway.watcher.go_by(self.state.look())

    async def chat(self, headers: dict[str, str] | None = None, **body: Any) -> aiohttp.ClientResponse:
        """A chat completion; the answer's body is read already."""
        value = {"model": "serin", "messages": [{"role": "user", "content": "How long?"}], **body}
        async with self.http.post("/v1/chat/completions", json=value, headers=headers) as answer:
            await answer.read()
            return answer


@asynccontextmanager
async def stand(
    folder: Path,
    telemetry: Telemetry | None = None,
    capture: Capture | None = None,
    evidence: EvidenceWriter | None = None,
    **settings: Any,
) -> AsyncIterator[Stand]:
    """A gateway with stable deployed; canary and other run without traffic."""
    async with fake_revisions(STABLE, CANARY, OTHER) as revisions:
        state = FolderState(folder)
        state.change_weights(lambda _: Weights(stable=STABLE, salt="s"))
        state.write_status({name: RevisionStatus("ready") for name in (STABLE, CANARY, OTHER)})
        chosen = GatewaySettings(
            base_url=revisions.base_url,
            secret=SECRET,
            signing_keys=settings.pop("signing_keys", (SIGNING_KEY,)),
            request_timeout_s=settings.pop("request_timeout_s", 30.0),
            canary_first_byte_timeout_s=settings.pop("canary_first_byte_timeout_s", 10.0),
            access=AccessParams(**settings.pop("access", {})),
            relay=GatewayParams(**settings),
        )
        gateway = Gateway(chosen, state, replica="test", evidence=evidence, telemetry=telemetry, capture=capture)
        seen = Watching()
        gateway.observers.append(seen)
        async with served(gateway) as url:
            await gateway.start()
            try:
                timeout = aiohttp.ClientTimeout(total=60)
                async with aiohttp.ClientSession(base_url=url, timeout=timeout) as http:
                    yield Stand(url, gateway, revisions, state, seen, http)
            finally:
                await gateway.close()


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """``app`` under uvicorn on a free port."""
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", access_log=False)  # type: ignore[arg-type] # its own names for the same shapes
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    try:
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving


async def until(seen: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Return once ``seen`` is true."""
    async with asyncio.timeout(timeout_s):
        while not seen():
            await asyncio.sleep(0.01)
