"""Requests from the gateway to a revision, up to the first byte of the answer and then byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp

from serin.core.errors import ServingError
from serin.core.revision import Revision
from serin.serve.middleware import SECRET_HEADER

_ERROR_EVENT = b'data: {"error"'
_OURS = frozenset({401, 403, 404, 405})
"""Answers that no client can cause, since the gateway chose route, method, secret and model itself."""
_KEEP_ALIVE_S = 30.0
"""Shorter than HAProxy's 90 s, so that the gateway never sends on a connection that HAProxy is about to close."""


class UpstreamError(ServingError):
    """A revision failed before the first byte of its answer: nothing has gone to the client yet."""

    def __init__(self, revision: str, reason: str, timed_out: bool = False) -> None:
        self.timed_out = timed_out
        super().__init__(f"{revision} {reason}")


class BrokenStreamError(ServingError):
    """A revision failed after the first byte; the connection to the client must break, so that the client sees it."""


@dataclass(slots=True)
class Answer:
    """An answer whose first bytes are here. ``failed`` turns true once the revision reports an error in its stream."""

    response: aiohttp.ClientResponse
    first: bytes
    failed: bool = False

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.response.status

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that reach the client."""
        kept = ("content-type", "content-length", "retry-after")
        return [(name.encode(), self.response.headers[name].encode()) for name in kept if name in self.response.headers]

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes as they come. Raises BrokenStreamError where they end too early."""
        chunk = self.first
        try:
            while chunk:
                self.failed = self.failed or _ERROR_EVENT in chunk
                yield chunk
                chunk = await self.response.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BrokenStreamError(f"the answer broke off: {error!r}") from error

    def close(self) -> None:
        """End the exchange; an unfinished one closes its connection, and the revision stops generating."""
        self.response.close()


class Upstream:
    """A keep-alive pool to everything behind ``base_url``, once it is open."""

    def __init__(self, base_url: str, secret: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._secret = secret
        self._session: aiohttp.ClientSession

    def open(self) -> None:
        """Make the pool; call it inside the event loop that serves."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def ask(
        self, revision: str, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Answer:
        """Send a request and wait for the first byte of its answer, ``timeout_s`` at most.

        A connection that was closed while it lay idle is tried once more. Raises UpstreamError.
        """
        url = f"{self._base_url}/r/{Revision.parse(revision).label}{path}"
        sent = {**headers, SECRET_HEADER: self._secret}
        try:
            async with asyncio.timeout(timeout_s):
                try:
                    return await self._ask_once(revision, method, url, body, sent)
                except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                    return await self._ask_once(revision, method, url, body, sent)
        except TimeoutError as error:
            raise UpstreamError(revision, f"sent nothing in {timeout_s:.1f} s", timed_out=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(revision, f"could not be reached ({error!r})") from error

    async def _ask_once(self, revision: str, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        response = await self._session.request(method, url, data=body, headers=headers)
        try:
            first = b"" if response.status >= 500 else await response.content.readany()
        except BaseException:
            response.close()
            raise
        fault = _fault(response.status, first)
        if fault is not None:
            response.close()
            raise UpstreamError(revision, fault)
        return Answer(response, first)


def _fault(status: int, first: bytes) -> str | None:
    """Why an answer that begins like this is a failure of the revision, or None."""
    if status >= 500 or status in _OURS:
        return f"answered {status}"
    if first.startswith(_ERROR_EVENT):
        return "reported an error instead of its first token"
    return None if first else "sent an empty answer"
