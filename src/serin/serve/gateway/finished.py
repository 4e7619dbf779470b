"""How a request went, once it is over: what the gateway's observers (evidence, metrics, access log, capture) are told."""

from dataclasses import dataclass
from typing import Literal, Protocol

from serin.serve.gateway.request_id import RequestIdentity

Kind = Literal[
    "timeout",
    "unreachable",
    "status_5xx",
    "refused",
    "garbage",
    "broken_stream",
    "stream_error",
    "stalled",
    "throttled",
    "client_closed",
    "client_stalled",
    "bad_request",
    "dropped",
]
"""What went wrong, first and foremost with the assigned revision.

timeout         it sent nothing by the time it had, or did not end by the request's deadline
unreachable     no connection, or one that closed before the first byte; also a revision that does not run
status_5xx      it answered 500 or above
refused         it answered 401, 403, 404, 405 where the gateway's own request was at fault, or stable answers
garbage         what it sent is neither JSON nor an event stream
broken_stream   it broke off after the first byte
stream_error    it reported an error inside its stream
stalled         it sent nothing for longer than its chunks may lie apart
throttled       it, or the gateway in front of it, had no room (429)
client_closed   the client went away (499)
client_stalled  the client read nothing for too long, and was cut off
bad_request     the revision found the client's request at fault (another 4xx)
dropped         a shadow request that was never sent, because too many were under way
"""


@dataclass(frozen=True, slots=True)
class Bodies:
    """What was asked, as the client sent it, and what it got (cut to what the gateway keeps of a stream)."""

    request: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """One request, or one shadow of a request, after its end.

    ``identity`` names the arm and revision that it was assigned to, whoever answered. ``error`` is whether the assigned
    arm failed. ``ttft_s`` is the time from assignment to the assigned arm's first byte, None where it sent none;
    ``tpot_s`` the time per output token after the first, None below two tokens or without a stream. Tokens are what the
    revision reported, None where it reported nothing. ``answered_by`` is the revision whose answer it was, None where there
    was none.
    """

    identity: RequestIdentity
    path: str
    caller: str | None
    status: int
    error: bool
    kind: Kind | None
    ttft_s: float | None
    tpot_s: float | None
    duration_s: float
    prompt_tokens: int | None
    completion_tokens: int | None
    failover: bool
    streamed: bool
    shadow: bool = False
    answered_by: str | None = None
    bodies: Bodies | None = None


class Observer(Protocol):
    """Somebody who is told of every request's end. It must return at once: it runs in the event loop that serves."""

    def wants_bodies(self, identity: RequestIdentity) -> bool:
        """Whether ``finished`` shall get this request's bodies; asked before the request is sent."""
        ...

    def finished(self, record: Finished) -> None:
        """One request is over."""
        ...
