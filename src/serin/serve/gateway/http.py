"""The little of HTTP over ASGI that the gateway needs: read a body, answer JSON."""

from collections.abc import Iterable
from typing import Any

import orjson

from serin.core.errors import UsageError
from serin.serve.asgi import Receive, Scope, Send

BODY_LIMIT_BYTES = 8 << 20

Headers = list[tuple[bytes, bytes]]


class TooLargeError(UsageError):
    """A request's body is larger than the gateway takes."""


class DisconnectedError(UsageError):
    """The client went away before its request was whole."""


async def read_body(receive: Receive, limit_bytes: int) -> bytes:
    """The whole body of a request. Raises TooLargeError, DisconnectedError."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError("the client went away before its request was whole")
        body += message.get("body", b"")
        if len(body) > limit_bytes:
            raise TooLargeError(f"the body is larger than {limit_bytes} bytes: send less")
        if not message.get("more_body", False):
            return bytes(body)


def header(scope: Scope, name: bytes) -> str | None:
    """A request header, by its lower-case name; None where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


async def read_json_object(receive: Receive, send: Send) -> dict[str, Any] | None:
    """The request's JSON object, or None after an error has been answered."""
    read = await read_json_body(receive, send)
    return None if read is None else read[1]


async def read_json_body(receive: Receive, send: Send) -> tuple[bytes, dict[str, Any]] | None:
    """The request's body and the JSON object that it is, or None after an error has been answered."""
    try:
        body = await read_body(receive, BODY_LIMIT_BYTES)
        value = orjson.loads(body)
    except DisconnectedError:
        return None
    except TooLargeError as error:
        await send_error(send, 413, str(error), "invalid_request_error")
        return None
    except ValueError as error:
        await send_error(send, 400, f"the body is not JSON ({error})", "invalid_request_error")
        return None
    if not isinstance(value, dict):
        await send_error(send, 400, "the body must be a JSON object", "invalid_request_error")
        return None
    return body, value


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
