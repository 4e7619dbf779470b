"""The least that can play a revision and its clients: HTTP/1.1 over asyncio: what is measured is the gateway in between.

Both ends run in one process. The server answers what vLLM answers, in bytes made beforehand; the client keeps connections alive
and finds the end of an answer, without looking into it.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import cast

MODEL = "law-qa@3f9a1c20"


def _event(text: str, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None, "token_ids": None}
    value = {"id": "chatcmpl-" + "0" * 32, "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return b"data: " + json.dumps({**value, "choices": [choice], **more}, separators=(",", ":")).encode() + b"\n\n"


_USAGE = {"prompt_tokens": 20, "total_tokens": 84, "completion_tokens": 64}
_MESSAGE = {"role": "assistant", "content": "At most six months, by section 622 of the code. " * 4}
_WHOLE = json.dumps(
    {"id": "x", "model": MODEL, "choices": [{"index": 0, "message": _MESSAGE}], "usage": _USAGE}
).encode()
_UNARY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_WHOLE) + _WHOLE
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
_LAST = _event("", usage=_USAGE).replace(_event("")[_event("").index(b'"choices"') : -3], b'"choices":[]', 1)


def _chunk(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


_TOKEN = _chunk(_event(" months"))
_END = _chunk(_LAST) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


@dataclass
class Pace:
    """How a stream comes: so many events, ``burst`` of them in one write, ``pause_s`` between two writes."""

    events: int = 64
    burst: int = 1
    pause_s: float = 0.0


class FastServer(asyncio.Protocol):
    """One connection of a revision."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._buffer = b""
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a protocol's shape
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._buffer = b""
        if b'"stream":true' not in body:
            self._transport.write(_UNARY)
            return
        self._transport.write(_HEAD)
        self._go_on(self.pace.events)

    def _go_on(self, left: int) -> None:
        sent = min(left, self.pace.burst)
        self._transport.write(_TOKEN * sent)
        left -= sent
        loop = asyncio.get_running_loop()
        if not left:
            self._transport.write(_END)
        elif self.pace.pause_s:
            self._timer = loop.call_later(self.pace.pause_s, self._go_on, left)
        else:
            loop.call_soon(self._go_on, left)


class FastClient(asyncio.Protocol):
    """One connection of a client; ``ask`` sends the request and returns the number of events in the answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._answered: asyncio.Future[int] | None = None
        self._buffer = bytearray()
        self.first_at: float | None = None
        """When the first event of the answer came, by the loop's clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    async def ask(self, request: bytes) -> int:
        self._buffer.clear()
        self.first_at = None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self.first_at is None and b"data: {" in self._buffer:
            self.first_at = asyncio.get_running_loop().time()
        if self._answered is None or self._answered.done():
            raise ConnectionError(f"an answer that nobody asked for: {data[:200]!r}")
        if self._buffer.endswith(b"0\r\n\r\n"):
            if b"data: [DONE]" not in self._buffer[-64:]:
                return
            self._answered.set_result(self._buffer.count(b"data: {"))
            return
        head, found, body = bytes(self._buffer[:2000]).partition(b"\r\n\r\n")
        if found and b"content-length" in head:
            if not head.startswith(b"HTTP/1.1 200"):
                self._answered.set_exception(ConnectionError(str(head)))
            elif len(self._buffer) - len(head) - 4 >= _length(head) and body:
                self._answered.set_result(0)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionError(f"the connection broke: {exc}"))

    def close(self) -> None:
        self._transport.close()


def request_bytes(stream: bool, model: str = "serin", path: str = "/v1/chat/completions", **more: object) -> bytes:
    """A chat completion as a client sends it."""
    messages = [{"role": "user", "content": "How long may a probation period last? " * 4}]
    value = {"model": model, "messages": messages, "stream": stream, "max_tokens": 64, "user": "u1", **more}
    body = json.dumps(value, separators=(",", ":")).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\nauthorization: Bearer none\r\naccept: */*\r\n\r\n" + body


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
