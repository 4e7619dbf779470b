"""``GET /openapi.json``: the gateway's paths, as OpenAPI 3.1 describes them (spec.openapis.org/oas/v3.1.0).

What vLLM's paths take and answer is vLLM's to say: here stands what the gateway itself reads of them, and adds.
"""

from functools import cache
from typing import Any

from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.endpoints import ENDPOINTS
from serin.serve.gateway.http import send_json

_ERROR = {"$ref": "#/components/schemas/Error"}
_REFUSALS = {
    400: "the request is not what it should be",
    401: "no key, or none that is known",
    403: "the key may not",
    408: "the body did not come in time",
    413: "the body is too large",
    415: "the body is compressed",
    429: "a limit is reached; Retry-After says when to come back",
}
_FAILURES = {
    404: "no such model, or no revision has this path",
    502: "the revision answered nonsense",
    503: "nothing is deployed, or nobody answers",
    504: "no answer in time",
}
_HEADERS = [
    {
        "name": "x-serin-user",
        "in": "header",
        "schema": {"type": "string"},
        "description": "who is answered by one revision",
    },
    {
        "name": "x-serin-revision",
        "in": "header",
        "schema": {"type": "string"},
        "description": "the revision; scope override",
    },
    {
        "name": "x-request-timeout",
        "in": "header",
        "schema": {"type": "number", "exclusiveMinimum": 0},
        "description": "seconds",
    },
]
_RELAYED = {
    "type": "object",
    "properties": {
        "model": {"type": ["string", "null"], "description": "serin, a model's name, or a revision (scope override)"},
        "stream": {"type": ["boolean", "null"]},
        "user": {"type": ["string", "null"]},
    },
}
_FEEDBACK = {
    "type": "object",
    "required": ["request_id", "score"],
    "properties": {
        "request_id": {"type": "string", "description": "the answer's x-request-id"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
    },
}


async def describe(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - a handler's shape
    """Answer with the description."""
    await send_json(send, 200, description())


@cache
def description() -> dict[str, Any]:
    """The OpenAPI document."""
    relayed = {
        path: {"post": _operation("inference", body=_RELAYED, parameters=_HEADERS, failures=_FAILURES)}
        for path in ENDPOINTS
    }
    name = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    paths = {
        **relayed,
        "/v1/feedback": {"post": _operation("feedback", body=_FEEDBACK)},
        "/v1/models": {"get": _operation("inference")},
        "/v1/models/{model}": {"get": _operation("inference", parameters=[name], failures={404: "no such model"})},
        "/healthz": {"get": _operation(None)},
        "/openapi.json": {"get": _operation(None)},
        "/admin/v1/state": {"get": _operation("admin")},
        "/admin/v1/drain": {"post": _operation("admin")},
        "/admin/v1/resume": {"post": _operation("admin")},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Serin's gateway", "version": "1"},
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR_SCHEMA},
        },
    }


_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["integer", "string", "null"]},
            },
        }
    },
}


def _operation(
    scope: str | None,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    failures: dict[int, str] | None = None,
) -> dict[str, Any]:
    refusals = {} if scope is None else _REFUSALS
    answers: dict[str, Any] = {"200": {"description": "the answer", "content": {"application/json": {}}}}
    for status, meaning in sorted({**refusals, **(failures or {})}.items()):
        answers[str(status)] = {"description": meaning, "content": {"application/json": {"schema": _ERROR}}}
    operation: dict[str, Any] = {"responses": answers}
    if scope is not None:
        operation["description"] = f"Takes a key of scope {scope}."
        operation["security"] = [{"key": []}]
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if parameters:
        operation["parameters"] = parameters
    return operation
