"""Faults on purpose: what the API server does to a request instead of answering it as it should."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Sort = Literal[
    "answer", "reset_before", "reset_after", "stall", "stall_after", "late", "end_watch", "slow_watch", "forget"
]


@dataclass(frozen=True)
class Call:
    """A request as the server's log has it."""

    number: int
    verb: str
    """``get``, ``list``, ``watch``, ``create``, ``update``, ``patch``, ``delete``."""
    resource: str
    """The plural, with the subresource: ``finetunes/status``."""
    name: str = ""
    token: str = ""
    code: int = 0
    """Of the answer; 0 while there is none."""


@dataclass
class Fault:
    """What becomes of requests.

    ``reset_after`` and ``stall_after`` do what was asked, and the caller does not hear of it. ``late`` does it when it is let
    go, whether the caller is still there or not: a request that was on its way when its sender died.
    """

    sort: Sort
    verb: str | None = None
    resource: str | None = None
    token: str | None = None
    """Whose requests."""
    number: int | None = None
    """The n-th call of the server's whole log; None: any."""
    skip: int = 0
    """So many matching calls are let through first."""
    times: int = 1
    code: int = 500
    """Of an ``answer``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Between the lines of a slow watch."""
    befell: threading.Event = field(default_factory=threading.Event)
    """Set when a request has met it."""
    let_go: threading.Event = field(default_factory=threading.Event)
    """A test sets it for what is ``late``."""

    def matches(self, call: Call) -> bool:
        """Whether it befalls this call, which uses it up."""
        fits = (
            (self.verb in (None, call.verb))
            and self.resource in (None, call.resource)
            and self.number in (None, call.number)
            and self.token in (None, call.token)
            and self.times > 0
        )
        if fits and self.skip > 0:
            self.skip -= 1
            return False
        if fits:
            self.times -= 1
            self.befell.set()
        return fits


REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Faults:
    """The faults that wait for their request, and the log of all requests."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.released = threading.Event()
        """Set when stalled requests may end; a closed stand-in sets it."""
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, sort: Sort, **fields: Any) -> Fault:
        """Let one happen."""
        fault = Fault(sort, **fields)
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Let no more happen."""
        with self._lock:
            self._waiting.clear()

    def enter(self, verb: str, resource: str, name: str, token: str) -> tuple[int, Fault | None]:
        """Write a request into the log; its place there, and the fault that befalls it."""
        with self._lock:
            call = Call(len(self.calls) + 1, verb, resource, name, token)
            self.calls.append(call)
            return call.number, next((fault for fault in self._waiting if fault.matches(call)), None)

    def answered(self, number: int, code: int) -> None:
        """Write the answer's code into the log."""
        with self._lock:
            call = self.calls[number - 1]
            self.calls[number - 1] = Call(call.number, call.verb, call.resource, call.name, call.token, code)
