"""Requests to the API server with raw JSON: time-outs, credentials, and errors by what they mean."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from serin.clients.kubernetes.faults import UnavailableError, refusal
from serin.core.errors import ConfigError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

Heard = Callable[[str, str, int, float], None]
"""Verb, plural, code (0: none came) and seconds of an answer."""

_CONNECT_S = 5.0
_CHUNK_BYTES = 1 << 16
_MAX_REFUSAL_BYTES = 1 << 16


def unheard(verb: str, plural: str, code: int, seconds: float) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the API server."""

    method: str
    """Of HTTP."""
    path: str
    verb: str
    """Kubernetes' own word for it, for messages and metrics."""
    plural: str
    """The kind, with the subresource."""
    name: str = ""
    """Of the object, for messages."""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    """Sent as JSON."""
    content_type: str = "application/json"
    """Of ``body``; a patch's says how it is meant."""

    @property
    def what(self) -> str:
        """For people: ``create jobs run-7``."""
        return " ".join(part for part in (self.verb, self.plural, self.name) if part)


class Transport:
    """One API server.

    Args:
        configuration: address and credentials.
        timeout_s: the longest that a request may take from its start to the last byte of the answer.
        heard: is told of every answer.
    """

    def __init__(self, configuration: "Configuration", timeout_s: float, heard: Heard) -> None:
        from kubernetes.client.rest import RESTClientObject

        self.configuration = configuration
        self.timeout_s = timeout_s
        self._heard = heard
        self._rest = RESTClientObject(configuration)

    def ask(self, request: Request, timeout_s: float | None = None) -> Any:
        """The JSON of the answer to one request. ``timeout_s`` may shorten the transport's own.

        Raises:
            SerinError: see ``faults``.
        """
        limit_s = min(timeout_s or self.timeout_s, self.timeout_s)
        end = time.monotonic() + limit_s
        with self._response(request, limit_s) as response:
            data = b"".join(_pieces(response, end, request.what, limit_s))
        try:
            return json.loads(data)
        except ValueError as error:
            raise UnavailableError(
                f"{request.what}: the answer is no JSON ({error}); is {self.configuration.host} an API server?"
            ) from error

    @contextmanager
    def stream(self, request: Request, idle_s: float) -> Iterator[Iterator[bytes]]:
        """An answer that goes on for as long as the server sends; it breaks after ``idle_s`` without a byte.

        Raises:
            SerinError: see ``faults``.
        """
        with self._response(request, idle_s) as response:
            yield _pieces(response, None, request.what, idle_s)

    def close(self) -> None:
        """Leave idle connections."""
        self._rest.close()

    @contextmanager
    def _response(self, request: Request, read_s: float) -> Iterator[Any]:
        """The urllib3 response of a request that was not refused; its connection is free again afterwards."""
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        host = self.configuration.host
        url = host + request.path + (f"?{urlencode(request.query)}" if request.query else "")
        start, code = time.monotonic(), 0
        try:
            response = self._rest.request(
                request.method,
                url,
                self._headers(request.content_type),
                request.body,
                _request_timeout=(min(_CONNECT_S, read_s), read_s),
            ).response
            code = int(response.status)
        except HTTPError as error:
            raise _broken(request.what, host, error) from error
        except ApiException as error:
            # The client gives this for TLS alone.
            raise ConfigError(
                f"{request.what}: no secure connection to {host} ({error.reason}): check the kubeconfig's "
                "certificate-authority"
            ) from error
        finally:
            self._heard(request.verb, request.plural, code, time.monotonic() - start)
        try:
            _accept(request, response, start + read_s, read_s)
            yield response
        except BaseException:
            # What was not read to its end cannot be used again.
            response.close()
            raise
        finally:
            response.release_conn()

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "serin"}
        if content_type:
            headers["Content-Type"] = content_type
        # Asked for at every request: a ServiceAccount's token is renewed in its file about every hour.
        token = self.configuration.auth_settings().get("BearerToken")
        if token and token["value"]:
            headers["Authorization"] = str(token["value"])
        return headers


def _accept(request: Request, response: Any, end: float, limit_s: float) -> None:
    """Raises what a refusal means."""
    if response.status >= 300:
        said = b"".join(_pieces(response, end, request.what, limit_s))[:_MAX_REFUSAL_BYTES]
        raise refusal(request.what, request.verb == "create", response.status, said, response.headers)


def _pieces(response: Any, end: float | None, what: str, limit_s: float) -> Iterator[bytes]:
    """Bytes as they come, until ``end`` on the monotonic clock: a socket's own time-out begins anew with every byte."""
    from urllib3.exceptions import HTTPError

    try:
        while piece := response.read1(_CHUNK_BYTES):
            yield piece
            if end is not None and time.monotonic() > end:
                raise UnavailableError(f"{what}: no whole answer within {limit_s:g} s; try again later")
    except (HTTPError, OSError) as error:
        raise _broken(what, "the API server", error) from error


def _broken(what: str, host: str, error: Exception) -> UnavailableError:
    return UnavailableError(f"{what}: no answer from {host} ({type(error).__name__}: {error}); check that it is up")
