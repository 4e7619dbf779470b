"""The gateway in front of vLLM's own server, without Ray: what passes through, and what stops when a client leaves."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI

from serin.clients.serving_state import FolderState, RevisionStatus, Weights
from serin.serve.gateway.app import Gateway
from serin.serve.gateway.settings import GatewaySettings

from ..serving.gateways import Watching, served

pytestmark = pytest.mark.timeout(560)

ROOT = Path(__file__).parents[2]
REVISION = "tiny@0123abcd"
SECRET = "internal"
MESSAGES: list[Any] = [{"role": "user", "content": "How long may a probation period last?"}]


@pytest.fixture(scope="module")
def vllm(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a vLLM server that serves the tiny model as ``REVISION``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += [
        "--model",
        str(tiny_base),
        "--served-model-name",
        REVISION,
        "--max-model-len",
        "512",
        "--enforce-eager",
    ]
    command += [
        "--middleware",
        "serin.serve.middleware.RequireSecret",
        "--middleware",
        "tests.serving.vllm_route.CutRoute",
    ]
    command += ["--fingerprint-mode", "custom", "--fingerprint-value", REVISION]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SERIN_SERVE_SECRET": SECRET,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    log = tmp_path_factory.mktemp("vllm") / "log.txt"
    with log.open("wb") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        asyncio.run(_ready(f"http://127.0.0.1:{port}", server, log))
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(30)


async def _ready(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    async with asyncio.timeout(400), aiohttp.ClientSession(headers={"x-serin-secret": SECRET}) as http:
        while True:
            assert server.poll() is None, log.read_text()[-3000:]
            try:
                async with http.get(f"{url}/health") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.5)


@dataclass
class Stand:
    url: str
    seen: Watching
    http: aiohttp.ClientSession
    direct: aiohttp.ClientSession

    async def running(self) -> float:
        """Requests that vLLM's engine has, by its own metrics."""
        return await self._metric("vllm:num_requests_running") + await self._metric("vllm:num_requests_waiting")

    async def generated(self) -> float:
        """Tokens that it has generated since it started."""
        return await self._metric("vllm:generation_tokens_total")

    async def _metric(self, name: str) -> float:
        async with self.direct.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{"))


@asynccontextmanager
async def stand(vllm: str, folder: Path) -> AsyncIterator[Stand]:
    state = FolderState(folder)
    state.change_weights(lambda _: Weights(stable=REVISION, salt="s"))
    state.write_status({REVISION: RevisionStatus("ready")})
    settings = GatewaySettings(vllm, SECRET, (b"k" * 32,), request_timeout_s=120.0, canary_first_byte_timeout_s=10.0)
    gateway = Gateway(settings, state, "test")
    seen = Watching()
    gateway.observers.append(seen)
    async with (
        served(gateway) as url,
        aiohttp.ClientSession(url) as http,
        aiohttp.ClientSession(vllm, headers={"x-serin-secret": SECRET}) as direct,
    ):
        await gateway.start()
        try:
            yield Stand(url, seen, http, direct)
        finally:
            await gateway.close()


@pytest.fixture
async def here(vllm: str, tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand(vllm, tmp_path) as made:
        yield made


PASSING = ("id", "created", "logprob", "top_logprobs")
BODIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "two choices": {"n": 2, "seed": 7, "temperature": 1.0},
    "log-probabilities": {"logprobs": True, "top_logprobs": 3},
    "a tool": {
        "tools": [
            {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
        ],
        "tool_choice": "none",
    },
    "structured": {"structured_outputs": {"choice": ["six", "seven"]}},
    "token ids": {"return_token_ids": True},
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_what_vllm_answers_without_the_gateway(here: Stand, name: str, stream: bool) -> None:
    body = {"messages": MESSAGES, "max_tokens": 6, "temperature": 0, "stream": stream, **BODIES[name]}
    async with here.direct.post("/v1/chat/completions", json={**body, "model": REVISION}) as answer:
        direct = await answer.text()
    async with here.http.post("/v1/chat/completions", json={**body, "model": "serin"}) as answer:
        through = await answer.text()
        assert answer.status == 200, through
        assert answer.headers["x-serin-revision"] == REVISION
    assert said(through) == said(direct)
    record = (await here.seen.told())[0]
    assert record.completion_tokens == (12 if "n" in body else 6) or name == "structured"
    assert record.prompt_tokens is not None
    assert record.kind is None


def said(text: str) -> Any:
    """An answer without what differs from request to request; a stream's, put together.

    Probabilities differ a little as the cache fills, and vLLM puts the tokens of a busy moment into one event.
    """
    if not text.startswith("data: "):
        return lasting(json.loads(text))
    events = text.removesuffix("\n\n").split("\n\n")
    assert events.pop() == "data: [DONE]"
    choices: dict[int, dict[str, Any]] = {}
    others = set()
    for value in (lasting(json.loads(event.removeprefix("data: "))) for event in events):
        for choice in value.pop("choices"):
            add(choices.setdefault(choice.pop("index"), {}), choice)
        others |= {(name, json.dumps(member)) for name, member in value.items()}
    return choices, others


def lasting(value: Any) -> Any:
    if isinstance(value, list):
        return [lasting(entry) for entry in value]
    if isinstance(value, dict):
        return {k: lasting(v) if k not in PASSING else k for k, v in value.items()}
    return value


def add(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        if isinstance(value, dict):
            add(whole.setdefault(name, {}), value)
        elif value is not None:
            whole[name] = whole[name] + value if name in whole else value


async def test_other_paths_answer_as_vllm_does(here: Stand) -> None:
    for path, body in [
        ("/v1/completions", {"prompt": "x", "max_tokens": 2, "temperature": 0}),
        ("/tokenize", {"prompt": "a probation period"}),
        ("/detokenize", {"tokens": [5, 6, 7]}),
        ("/v1/embeddings", {"input": "x"}),
        ("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": -1}),
        ("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 100_000}),
    ]:
        async with here.direct.post(path, json={**body, "model": REVISION}) as answer:
            direct = (answer.status, list(await answer.json()))
        async with here.http.post(path, json={**body, "model": "serin"}) as answer:
            assert (answer.status, list(await answer.json())) == direct, path
    assert [r.error for r in here.seen.records] == [False] * 6


async def test_usage_reaches_the_client_who_asked(here: Stand) -> None:
    async with AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client:
        for asked in (None, {"include_usage": True}):
            stream = await client.chat.completions.create(
                model="serin",
                messages=MESSAGES,
                max_tokens=6,
                stream=True,
                extra_body={"ignore_eos": True},
                stream_options=asked or {},  # type: ignore[arg-type] # the client's own type has one member
            )
            chunks = [chunk async for chunk in stream]
            assert [c.usage.completion_tokens for c in chunks if c.usage] == ([6] if asked else [])
            assert all(c.choices for c in chunks) is (asked is None)
    assert [r.completion_tokens for r in await here.seen.told(2)] == [6, 6]


@pytest.mark.parametrize("stream", [True, False])
async def test_generation_stops_when_the_client_leaves(here: Stand, stream: bool) -> None:
    body = {"model": "serin", "messages": MESSAGES, "max_tokens": 400, "n": 8, "ignore_eos": True, "stream": stream}
    before = await here.generated()
    asking = asyncio.create_task(_read(here, body))
    async with asyncio.timeout(60):
        while not await here.running():
            await asyncio.sleep(0.02)
    asking.cancel()
    async with asyncio.timeout(20):
        while await here.running():
            await asyncio.sleep(0.05)
    assert await here.generated() - before < 8 * 400
    record = (await here.seen.told())[0]
    assert (record.status, record.kind, record.error) == (499, "client_closed", False)


async def _read(here: Stand, body: dict[str, Any]) -> None:
    async with here.http.post("/v1/chat/completions", json=body) as answer:
        await answer.read()
