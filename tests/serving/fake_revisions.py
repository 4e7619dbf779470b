"""Revisions that are not there: a real HTTP server that answers as vLLM does, or as badly as a test wants.

One server plays HAProxy and everything behind it: ``/r/<label>/…`` leads to the revision of that label.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from serin.core.revision import Revision
from serin.serve.middleware import SECRET_HEADER

SECRET = "the gateway's secret"


@dataclass
class Behaviour:
    """What a fake revision does from the next request on. Pieces are the events of a stream, or the halves of a body."""

    text: str = "as good as new"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    first_after_s: float = 0.0
    between_s: float = 0.0
    breaks_after: int | None = None
    """The connection is cut after this many pieces; 0: before the first byte of the answer."""
    hangs_after: int | None = None
    """Nothing more comes after this many pieces; 0: not even a header."""
    error_after: int | None = None
    """vLLM's error event comes after this many events."""
    garbage_after: int | None = None
    """Bytes that are no event come after this many events, or instead of the body."""
    without_done: bool = False
    """The stream ends without ``[DONE]``, as if that were in order."""
    answer: bytes | None = None
    """A body of its own."""


@dataclass(frozen=True)
class Asked:
    """A request as the revision got it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class FakeRevision:
    """``running`` counts requests under way; ``aborted`` those whose connection was closed before their end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.behaviour = Behaviour()
        self.asked: list[Asked] = []
        self.running = 0
        self.most_running = 0
        self.aborted = 0
        self.sent_chunks = 0

    async def answer(self, request: web.Request, path: str) -> web.StreamResponse:
        if request.headers.get(SECRET_HEADER) != SECRET:
            return web.json_response({"error": {"message": "revisions answer the gateway only"}}, status=401)
        body = await request.read()
        self.asked.append(
            Asked(request.method, path, {name.lower(): value for name, value in request.headers.items()}, body)
        )
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            return await self._answer(request, path, json.loads(body) if body else {})
        except (asyncio.CancelledError, ConnectionError):
            self.aborted += 1
            raise
        finally:
            self.running -= 1

    async def _answer(self, request: web.Request, path: str, value: dict[str, Any]) -> web.StreamResponse:
        now = self.behaviour
        if now.hangs_after == 0:
            await asyncio.sleep(3600)
        await asyncio.sleep(now.first_after_s)
        if now.breaks_after == 0:
            _cut(request)
        if now.status >= 400:
            error = {"message": f"told to answer {now.status}", "type": "Fake", "param": None, "code": now.status}
            return web.json_response({"error": error}, status=now.status, headers=now.headers)
        if value.get("stream"):
            return await self._stream(request, path, value, now)
        whole = now.answer if now.answer is not None else json.dumps(self._whole(path, value, now)).encode()
        if now.garbage_after is not None:
            whole = b"<html>what is this</html>"
        response = web.StreamResponse(status=now.status, headers={"content-type": "application/json", **now.headers})
        response.content_length = len(whole)
        await response.prepare(request)
        half = len(whole) // 2
        await self._pieces(request, response, [whole[:half], whole[half:]], now)
        return response

    async def _stream(
        self, request: web.Request, path: str, value: dict[str, Any], now: Behaviour
    ) -> web.StreamResponse:
        headers = {"content-type": "text/event-stream; charset=utf-8", **now.headers}
        response = web.StreamResponse(status=now.status, headers=headers)
        await response.prepare(request)
        await self._pieces(request, response, self._events(path, value, now), now)
        return response

    async def _pieces(
        self, request: web.Request, response: web.StreamResponse, pieces: list[bytes], now: Behaviour
    ) -> None:
        for sent, piece in enumerate(pieces):
            if sent == now.breaks_after:
                _cut(request)
            if sent == now.hangs_after:
                await asyncio.sleep(3600)
            if sent and now.between_s:
                await asyncio.sleep(now.between_s)
            await response.write(piece)
            self.sent_chunks += 1
        if now.breaks_after is not None and now.breaks_after >= len(pieces):
            _cut(request)
        await response.write_eof()

    def _events(self, path: str, value: dict[str, Any], now: Behaviour) -> list[bytes]:
        chat = path == "/v1/chat/completions"
        words = now.text.split(" ")
        options = value.get("stream_options") or {}
        events = []
        for place, word in enumerate(words):
            text = word if place == 0 else f" {word}"
            choice: dict[str, Any] = {"index": 0, "delta": {"content": text}} if chat else {"index": 0, "text": text}
            choice["finish_reason"] = "stop" if place == len(words) - 1 else None
            events.append(
                self._event(chat, [choice], _usage(place + 1) if options.get("continuous_usage_stats") else None)
            )
        if options.get("include_usage"):
            events.append(self._event(chat, [], _usage(len(words))))
        if now.error_after is not None:
            error = {"error": {"message": "told to fail", "type": "InternalServerError", "code": 500}}
            events[now.error_after :] = [f"data: {json.dumps(error)}\n\n".encode()]
        if now.garbage_after is not None:
            events[now.garbage_after :] = [b"\x00\xffnot an event\n\n"]
        return events if now.without_done else [*events, b"data: [DONE]\n\n"]

    def _event(self, chat: bool, choices: list[dict[str, Any]], usage: dict[str, int] | None) -> bytes:
        value: dict[str, Any] = {"id": "x", "object": _object(chat, streamed=True), "created": 1, "model": self.name}
        value |= {"choices": choices, "system_fingerprint": self.name}
        if usage is not None:
            value["usage"] = usage
        return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()

    def _whole(self, path: str, value: dict[str, Any], now: Behaviour) -> dict[str, Any]:
        if path == "/tokenize":
            return {"count": 3, "max_model_len": 128, "tokens": [1, 2, 3]}
        if path == "/v1/embeddings":
            data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
            return {"id": "x", "object": "list", "model": self.name, "data": data, "usage": _usage(0)}
        chat = path == "/v1/chat/completions"
        message = {"role": "assistant", "content": now.text}
        choice = {"index": 0, "finish_reason": "stop", **({"message": message} if chat else {"text": now.text})}
        return {
            "id": "x",
            "object": _object(chat, streamed=False),
            "created": 1,
            "model": self.name,
            "choices": [choice] * int(value.get("n", 1)),
            "usage": _usage(len(now.text.split(" "))),
            "system_fingerprint": self.name,
        }


class FakeRevisions:
    """All of them behind one address."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.base_url = ""
        self._by_name = {name: FakeRevision(name) for name in names}
        self._by_label = {Revision.parse(name).label: fake for name, fake in self._by_name.items()}

    def __getitem__(self, name: str) -> FakeRevision:
        return self._by_name[name]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._by_name)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        fake = self._by_label.get(request.match_info["label"])
        if fake is None:
            return web.Response(status=404, text=f"Path '{request.path}' not found. Please ping http://.../-/routes")
        return await fake.answer(request, request.match_info["path"])


@asynccontextmanager
async def fake_revisions(*names: str) -> AsyncIterator[FakeRevisions]:
    """Serve these revisions on a free port of 127.0.0.1."""
    fakes = FakeRevisions(names)
    application = web.Application(client_max_size=64 << 20)
    application.router.add_route("*", "/r/{label}{path:/.*}", fakes.handle)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fakes.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield fakes
    finally:
        with suppress(asyncio.TimeoutError):
            await runner.cleanup()


def _cut(request: web.Request) -> None:
    """Close the connection as a killed process does: at once, whatever had been promised."""
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("cut, as told")


def _usage(completion_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 5, "total_tokens": 5 + completion_tokens, "completion_tokens": completion_tokens}


def _object(chat: bool, streamed: bool) -> str:
    if chat:
        return "chat.completion.chunk" if streamed else "chat.completion"
    return "text_completion"
