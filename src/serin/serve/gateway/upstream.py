"""Requests from the gateway to a revision, up to the first byte of the answer and then byte by byte."""

import asyncio
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from serin.core.errors import ServingError
from serin.core.revision import Revision
from serin.serve.gateway.finished import Kind
from serin.serve.gateway.question import Question
from serin.serve.gateway.usage import EventStream, GarbageError, Usage, read_usage
from serin.serve.middleware import SECRET_HEADER

_KEEP_ALIVE_S = 30.0
"""Shorter than HAProxy's 90 s, so that the gateway never sends on a connection that HAProxy is about to close."""
_CONNECT_S = 5.0
_URLS = 1000
"""Parsed addresses that are kept; there are as many as revisions times paths."""
_WHOLE_BYTES = 256 << 10
"""An answer of one piece up to this size is whole before its first byte goes to the client, so that stable can still
answer where it breaks off; a longer one is relayed as it comes."""
_TAIL_BYTES = 4096
"""Where a JSON body reports its usage."""
_OURS = frozenset({401, 403, 421})
"""Answers that no client can cause, since the gateway chose route and secret."""
_LACKING = frozenset({404, 405, 501})
"""A revision has no such path: every revision of its kind, or this one alone."""
_RETRIED: frozenset[Kind] = frozenset({"unreachable", "broken_stream"})
"""Failures of a connection rather than of an answer."""
_KEPT_HEADERS = ("content-type", "content-length", "retry-after")
_KEPT_HEADERS_OF_STREAMS = ("content-type",)


class UpstreamError(ServingError):
    """A revision failed before the first byte of its answer: nothing has gone to the client yet."""

    def __init__(self, revision: str, kind: Kind, reason: str) -> None:
        self.kind = kind
        super().__init__(f"{revision} {reason}")


class BrokenStreamError(ServingError):
    """A revision failed after the first byte; the connection to the client must break, so that the client sees it."""

    def __init__(self, kind: Kind, reason: str) -> None:
        self.kind = kind
        super().__init__(reason)


@dataclass(slots=True)
class Answer:
    """An answer whose first bytes are here. ``kind`` says what is wrong with it already."""

    response: aiohttp.ClientResponse
    first: bytes
    kind: Kind | None
    events: EventStream | None = None
    whole: bool = False
    """Whether ``first`` is all of it."""
    tail: bytes = field(default=b"", init=False)

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.response.status

    @property
    def lacking(self) -> bool:
        """Whether the revision says that it has no such path."""
        return self.status in _LACKING

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that reach the client."""
        given = self.response.headers
        kept = _KEPT_HEADERS if self.events is None else _KEPT_HEADERS_OF_STREAMS
        return [(name.encode(), given[name].encode("latin-1")) for name in kept if name in given]

    async def next_bytes(self) -> bytes:
        """What comes next; nothing at the end. Raises BrokenStreamError where the end comes too early."""
        try:
            chunk = await self.response.content.readany()
            if self.events is None:
                self.tail = (self.tail + chunk)[-_TAIL_BYTES:] if chunk else self.tail
                return chunk
            while chunk:
                whole = self.events.feed(chunk)
                if whole:
                    return whole
                chunk = await self.response.content.readany()
        except GarbageError as error:
            raise BrokenStreamError("garbage", str(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BrokenStreamError("broken_stream", f"the answer broke off: {error!r}") from error
        if not self.events.ended:
            raise BrokenStreamError("broken_stream", "the stream stopped without the event that ends it")
        return b""

    @property
    def failed(self) -> bool:
        """Whether the revision reported an error inside its stream."""
        return self.events is not None and self.events.failed

    @property
    def usage(self) -> Usage:
        """What the revision reported, at the end of the answer."""
        return read_usage(self.tail or self.first[-_TAIL_BYTES:]) if self.events is None else self.events.usage

    def close(self) -> None:
        """End the exchange; an unfinished one closes its connection, and the revision stops generating."""
        self.response.close()


class Upstream:
    """A keep-alive pool to everything behind ``base_url``, once it is open."""

    def __init__(self, base_url: str, secret: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._secret = secret
        self._session: aiohttp.ClientSession
        self._urls: dict[tuple[str, str], URL] = {}

    def open(self) -> None:
        """Make the pool; call it inside the event loop that serves."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),  # what a revision sets for one client is no other client's
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept"),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def ask(self, revision: str, question: Question, nonce: str, timeout_s: float | None = None) -> Answer:
        """Send a request and wait for the first byte of its answer, ``timeout_s`` at most; None: until the caller is cancelled.

        Where the connection failed before that, HAProxy may know another replica: it is asked once more, and not again,
        lest a request that kills whoever answers it kills them all. Raises UpstreamError.
        """
        body = question.for_revision(revision)
        headers = {
            **question.headers,
            "content-type": "application/json",
            "x-request-id": nonce,
            SECRET_HEADER: self._secret,
        }
        if timeout_s is None:
            return await self._ask(revision, question, body, headers)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._ask(revision, question, body, headers)
        except TimeoutError as error:
            raise UpstreamError(revision, "timeout", f"sent nothing in {timeout_s:.1f} s") from error

    async def _ask(self, revision: str, question: Question, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            return await self._ask_once(revision, question, body, headers)
        except UpstreamError as error:
            if error.kind not in _RETRIED:
                raise
        return await self._ask_once(revision, question, body, headers)

    async def _ask_once(self, revision: str, question: Question, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            response = await self._session.post(self._url(revision, question.path), data=body, headers=headers)
            try:
                return await _begin(response, revision, question)
            except BaseException:
                response.close()
                raise
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError(revision, "unreachable", f"could not be reached ({error!r})") from error
        except BrokenStreamError as error:
            raise UpstreamError(revision, error.kind, str(error)) from error

    def _url(self, revision: str, path: str) -> URL:
        url = self._urls.get((revision, path))
        if url is None:
            if len(self._urls) >= _URLS:
                self._urls.clear()
            url = URL(f"{self._base_url}/r/{Revision.parse(revision).label}{path}")
            self._urls[revision, path] = url
        return url


async def _begin(response: aiohttp.ClientResponse, revision: str, question: Question) -> Answer:
    kind = response.content_type
    if kind == "text/event-stream":
        answer = Answer(response, b"", None, EventStream(question.endpoint, question.strips_usage, revision))
        answer.first = await answer.next_bytes()
        answer.kind = "stream_error" if answer.failed else None
        return answer
    status = response.status
    if kind != "application/json":
        # Not from the revision: HAProxy, or Ray Serve, has nobody to hand the request to.
        if status >= 400:
            raise UpstreamError(revision, "unreachable", f"has nobody who answers ({status})")
        raise UpstreamError(revision, "garbage", f"sent {kind} where JSON or events were due")
    length = response.content_length
    whole = length is not None and length <= _WHOLE_BYTES
    first = await (response.read() if whole else response.content.readany())
    if not first.startswith((b"{", b"[")) or (whole and not first.endswith((b"}", b"]"))):
        raise UpstreamError(revision, "garbage", f"sent {first[:40]!r} where JSON was due")
    return Answer(response, first, _fault(status), whole=whole)


def _fault(status: int) -> Kind | None:
    """What an answer of JSON with this status means for the revision."""
    if status < 400:
        return None
    if status >= 500 and status != 501:
        return "status_5xx"
    if status == 429:
        return "throttled"
    return "refused" if status in _OURS or status in _LACKING else "bad_request"
