"""Requests from the gateway to a revision, up to the first byte of the answer and then byte by byte."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache

from serin.core.errors import ServingError
from serin.core.revision import Revision
from serin.serve.gateway.connections import Connections, Response
from serin.serve.gateway.finished import Kind
from serin.serve.gateway.question import Question
from serin.serve.gateway.usage import EventStream, GarbageError, Usage, read_usage
from serin.serve.middleware import SECRET_HEADER

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

    response: Response
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
            chunk = await self.response.read_some()
            if self.events is None:
                self.tail = (self.tail + chunk)[-_TAIL_BYTES:] if chunk else self.tail
                return chunk
            while chunk:
                whole = self.events.feed(chunk)
                if whole:
                    return whole
                chunk = await self.response.read_some()
        except GarbageError as error:
            raise BrokenStreamError("garbage", str(error)) from error
        except OSError as error:
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
    """Everything behind ``base_url``."""

    def __init__(self, base_url: str, secret: str) -> None:
        self._secret = secret
        self._connections = Connections(base_url)

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()

    async def ask(self, revision: str, question: Question, nonce: str, timeout_s: float | None = None) -> Answer:
        """Send a request and wait for the first byte of its answer, ``timeout_s`` at most; None: until the caller is cancelled.

        Where the connection failed before that, HAProxy may know another replica: it is asked once more, and not again,
        lest a request that kills whoever answers it kills them all. Raises UpstreamError.
        """
        path = f"{_route(revision)}{question.path}"
        headers = {
            **question.headers,
            "content-type": "application/json",
            "x-request-id": nonce,
            SECRET_HEADER: self._secret,
        }
        body = question.for_revision(revision)
        try:
            async with nullcontext() if timeout_s is None else asyncio.timeout(timeout_s):
                try:
                    return await self._ask(revision, question, path, headers, body)
                except UpstreamError as error:
                    if error.kind not in _RETRIED:
                        raise
                return await self._ask(revision, question, path, headers, body)
        except TimeoutError as error:
            raise UpstreamError(revision, "timeout", f"sent nothing in {timeout_s:.1f} s") from error

    async def _ask(
        self, revision: str, question: Question, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        try:
            response = await self._connections.post(path, headers, body)
            try:
                return await _begin(response, revision, question)
            except BaseException:
                response.close()
                raise
        except OSError as error:
            raise UpstreamError(revision, "unreachable", f"could not be reached ({error!r})") from error
        except BrokenStreamError as error:
            raise UpstreamError(revision, error.kind, str(error)) from error


@lru_cache(1000)
def _route(revision: str) -> str:
    return Revision.parse(revision).route


async def _begin(response: Response, revision: str, question: Question) -> Answer:
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
    first = await (response.read() if whole else response.read_some())
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
