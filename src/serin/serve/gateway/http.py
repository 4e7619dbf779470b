"""The little of HTTP over ASGI that the gateway needs: read a body, answer JSON."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from serin.core.errors import UsageError
from serin.serve.asgi import Receive, Scope, Send

MOST_NESTED = 128
"""Levels of a request's JSON: Python's own parser, which vLLM calls, fails at about a thousand."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be, and how long it may take to come."""

    most_bytes: int = 8 << 20
    timeout_s: float = 30.0


class BodyError(UsageError):
    """A body that is not taken; ``status`` is what to answer."""

    status = 400


class TooLargeError(BodyError):
    """A request's body is larger than the gateway takes."""

    status = 413


class TooSlowError(BodyError):
    """A request's body did not come in time."""

    status = 408


class EncodedError(BodyError):
    """A body that would have to be unpacked first, to a size that nobody knows."""

    status = 415


class DisconnectedError(UsageError):
    """The client went away before its request was whole."""


async def read_body(scope: Scope, receive: Receive, limits: BodyLimits) -> bytes:
    """The whole body of a request. Raises BodyError, DisconnectedError; no more than the limit is ever held."""
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.strip().lower() != b"identity":
            raise EncodedError("content-encoding: the body must be plain JSON, not compressed")
        if name == b"content-length" and value.isdigit() and len(value) < 20 and int(value) > limits.most_bytes:
            raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.timeout_s):
            return await _read(receive, limits)
    except TimeoutError as error:
        raise TooSlowError(f"the body was not whole after {limits.timeout_s:g} s: send it faster") from error


async def _read(receive: Receive, limits: BodyLimits) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError("the client went away before its request was whole")
        body += message.get("body", b"")
        if len(body) > limits.most_bytes:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(limits: BodyLimits) -> TooLargeError:
    return TooLargeError(f"the body is larger than {limits.most_bytes} bytes: send less")


def header(scope: Scope, name: bytes) -> str | None:
    """A request header, by its lower-case name; None where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


async def read_json_object(scope: Scope, receive: Receive, send: Send, limits: BodyLimits) -> dict[str, Any] | None:
    """The request's JSON object, or None after an error has been answered."""
    read = await read_json_body(scope, receive, send, limits)
    return None if read is None else read[1]


async def read_json_body(
    scope: Scope, receive: Receive, send: Send, limits: BodyLimits
) -> tuple[bytes, dict[str, Any]] | None:
    """The request's body and the JSON object that it is, or None after an error has been answered."""
    try:
        body = await read_body(scope, receive, limits)
        value = orjson.loads(body)
    except DisconnectedError:
        return None
    except BodyError as error:
        # What is still to come is not read, so the connection cannot be used again.
        await send_error(send, error.status, str(error), "invalid_request_error", [(b"connection", b"close")])
        return None
    except ValueError as error:
        await send_error(send, 400, f"the body is not JSON ({error})", "invalid_request_error")
        return None
    if not isinstance(value, dict):
        await send_error(send, 400, "the body must be a JSON object", "invalid_request_error")
        return None
    if body.count(b"[") + body.count(b"{") > MOST_NESTED and _levels(value) > MOST_NESTED:
        await send_error(send, 400, f"the body is nested more than {MOST_NESTED} deep", "invalid_request_error")
        return None
    return body, value


def _levels(value: Any) -> int:
    levels, level = 0, [value]
    while level and levels <= MOST_NESTED:
        levels += 1
        inside = (child for each in level for child in (each.values() if type(each) is dict else each))
        level = [child for child in inside if type(child) in (dict, list)]
    return levels


async def send_json(send: Send, status: int, value: Any, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Answer with a JSON value."""
    body = orjson.dumps(value)
    lines = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def send_error(
    send: Send, status: int, message: str, kind: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with an error in the shape of OpenAI's API, which its clients understand."""
    error = {"message": message, "type": kind, "param": None, "code": status}
    await send_json(send, status, {"error": error}, headers)
