"""Kept-alive HTTP/1.1 connections to one address: a POST, the head of its answer, then the body as it comes.

Every request pays for this, so it does no more than a gateway wants of HAProxy: no redirects, cookies, proxies, compression
or TLS. Bytes are parsed by llhttp (httptools), as uvicorn parses what clients send.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

_CONNECT_S = 5.0
_KEEP_ALIVE_S = 30.0
"""Shorter than HAProxy's 90 s, so that nothing is sent on a connection that HAProxy is about to close."""
_HEAD_BYTES = 64 << 10
"""The longest head of an answer."""
_UNREAD_BYTES = 256 << 10
"""Of a body that comes faster than it is read; the other end is told to wait beyond."""


class BrokenAnswerError(ConnectionError):
    """An answer, or its connection, ended before its time, or is no HTTP."""


class Response:
    """An answer; it is had once its head is here. Header names are in lower case."""

    __slots__ = ("_connection", "_error", "_headed", "_pieces", "_unread", "_waiter", "_whole", "headers", "status")

    def __init__(self, connection: "_Connection") -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._connection = connection
        self._pieces: list[bytes] = []
        self._unread = 0
        self._headed = False
        self._whole = False
        self._error: BrokenAnswerError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def content_length(self) -> int | None:
        """What was promised; None: the body ends where it says so itself."""
        length = self.headers.get("content-length")
        return None if length is None else int(length)  # llhttp has refused what is no number

    async def read_some(self) -> bytes:
        """What has come since, or else what comes next; nothing at the end. Raises BrokenAnswerError where it breaks off."""
        while not self._pieces:
            if self._whole:
                return b""
            await self._change()
        some = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        if self._unread > _UNREAD_BYTES and not self._whole:
            self._connection.go_on()
        self._unread = 0
        return some

    async def read(self) -> bytes:
        """All of it. Raises BrokenAnswerError where it breaks off."""
        pieces = []
        while some := await self.read_some():
            pieces.append(some)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Read no further: where the body has not ended, neither does its connection live on, and the other end knows."""
        if not self._whole:
            self._connection.abort()

    async def _head(self) -> None:
        while not self._headed:
            await self._change()

    def _change(self) -> asyncio.Future[None]:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class _Connection(asyncio.Protocol):
    """One exchange at a time."""

    def __init__(self, idle: "deque[tuple[float, _Connection]]", living: "set[_Connection]") -> None:
        self._idle = idle
        self._living = living
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)
        self._response: Response | None = None
        self._head_bytes = 0

    @property
    def usable(self) -> bool:
        return not self._transport.is_closing()

    def ask(self, head: bytes, body: bytes) -> Response:
        self._response = response = Response(self)
        self._head_bytes = 0
        self._transport.writelines((head, body))
        return response

    def go_on(self) -> None:
        if self.usable:
            self._transport.resume_reading()

    def abort(self) -> None:
        self._transport.abort()

    # What asyncio calls:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._living.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._break(f"what came is no HTTP: {error!r}")
        response = self._response
        if response is not None and not response._headed:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES:
                self._break(f"the head is longer than {_HEAD_BYTES} bytes")

    def eof_received(self) -> None:
        self.abort()  # else what is left of the question would first have to go to somebody who may read no more

    def connection_lost(self, exc: Exception | None) -> None:
        self._living.discard(self)
        response = self._response
        lasts_until_now = response is not None and response._headed and not response.headers.keys() & _ENDS_BY
        if lasts_until_now and exc is None:
            self.on_message_complete()
        else:
            self._break("the connection was closed" if exc is None else repr(exc))

    # What the parser calls:

    def on_message_begin(self) -> None:
        if self._response is None:
            self._break("nothing was asked")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._response is not None and not self._response._headed:
            self._response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._response is None:
            return
        self._response.status = self._parser.get_status_code()
        if self._response.status >= 200:
            self._response._headed = True
            self._response._wake()

    def on_body(self, data: bytes) -> None:
        response = self._response
        if response is None:
            return
        response._pieces.append(data)
        before, response._unread = response._unread, response._unread + len(data)
        if before <= _UNREAD_BYTES < response._unread and self.usable:
            self._transport.pause_reading()
        response._wake()

    def on_message_complete(self) -> None:
        response = self._response
        if response is None:
            return
        if not response._headed:  # 100 and its like: the answer itself is still to come
            response.headers.clear()
            return
        self._response = None
        response._whole = True
        response._wake()
        if not self.usable:
            return
        if self._parser.should_keep_alive() and not self._transport.get_write_buffer_size():
            if response._unread > _UNREAD_BYTES:
                self._transport.resume_reading()
            self._idle.append((asyncio.get_running_loop().time(), self))
        else:  # also where the answer came before the question had been sent
            self.abort()

    def _break(self, reason: str) -> None:
        response, self._response = self._response, None
        if response is not None:
            response._error = BrokenAnswerError(reason)
            response._wake()
        self.abort()


_ENDS_BY = {"content-length", "transfer-encoding"}
"""Without either a body lasts until the connection is closed."""


class Connections:
    """As many as there are exchanges under way, and those that wait for the next one."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"{base_url!r} is no address of the form http://host:port")
        self._host, self._port = parts.hostname, parts.port or 80
        self._prefix = parts.path.rstrip("/")
        self._named = parts.netloc
        self._idle: deque[tuple[float, _Connection]] = deque()
        self._living: set[_Connection] = set()

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Send a request and wait for the head of its answer.

        Raises:
            OSError: it could not be sent, or its answer broke off.
        """
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if lines.count("\n") != len(headers):
            raise ValueError("a header has more than one line")
        start = f"POST {self._prefix}{path} HTTP/1.1\r\nhost: {self._named}\r\ncontent-length: {len(body)}\r\n"
        connection = self._waiting() or await self._connect()
        response = connection.ask(f"{start}{lines}\r\n".encode("latin-1"), body)
        try:
            await response._head()
        except BaseException:
            connection.abort()
            raise
        return response

    async def close(self) -> None:
        """Close every connection."""
        for connection in list(self._living):
            connection.abort()
        await asyncio.sleep(0)

    def _waiting(self) -> _Connection | None:
        """The one that was used last, since the others are the first that the other end closes."""
        oldest = asyncio.get_running_loop().time() - _KEEP_ALIVE_S
        while self._idle and self._idle[0][0] < oldest:
            self._idle.popleft()[1].abort()
        while self._idle:
            _, connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_S):
            _, connection = await loop.create_connection(
                lambda: _Connection(self._idle, self._living), self._host, self._port
            )
        return connection
