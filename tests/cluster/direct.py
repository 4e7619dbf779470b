"""The API without sockets, for a controller in this process that dies in the middle of a request."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import orjson

from serin.clients.kubernetes.faults import refusal
from serin.clients.kubernetes.transport import Request

from .standin import StandIn
from .standin.refusals import Refusal

When = Literal["before", "after"]
Strike = Callable[[str, str, When], None]
"""Is told of every request before it reaches the server, and after the server acted and before the answer comes back: verb and
resource. It may raise."""


class Killed(BaseException):
    """The process is dead: nothing in it may catch this."""


class DirectTransport:
    """Takes the place of ``serin.clients.kubernetes.transport.Transport``, with the same requests and the same errors."""

    def __init__(self, standin: StandIn, token: str = "admin", strike: Strike = lambda *_: None) -> None:
        self.timeout_s = 10.0
        self._standin = standin
        self._token = token
        self._strike = strike

    def ask(self, request: Request, timeout_s: float | None = None) -> Any:
        """One request, and the JSON of its answer."""
        del timeout_s
        return orjson.loads(self._heard(request))

    @contextmanager
    def stream(self, request: Request, idle_s: float) -> Iterator[Iterator[bytes]]:
        """What is there until now; nobody waits in a test without threads."""
        del idle_s
        yield iter([self._heard(replace(request, query={**request.query, "timeoutSeconds": "0"}))])

    def close(self) -> None:
        """Nothing is open."""

    def _heard(self, request: Request) -> bytes:
        self._strike(request.verb, request.plural, "before")
        code, data, headers = self._answer(request)
        self._strike(request.verb, request.plural, "after")
        if code >= 300:
            raise refusal(request.what, request.verb == "create", code, data, headers)
        return data

    def _answer(self, request: Request) -> tuple[int, bytes, Mapping[str, str]]:
        api, faults = self._standin.api, self._standin.faults
        body = b"" if request.body is None else orjson.dumps(request.body)
        headers = {"Content-Type": request.content_type, "User-Agent": "serin"}
        try:
            route = api.route(request.method, request.path, request.query)
            number, _ = faults.enter(route.verb, route.what, route.name, self._token)
            api.check(route, self._token)
            answer = api.answer(route, headers, body, lambda: False)
            faults.answered(number, answer.code)
            data = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
        except Refusal as refused:
            return refused.code, orjson.dumps(refused.status()), refused.headers
        return answer.code, data, answer.headers
