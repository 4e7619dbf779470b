"""What a client asks, as the gateway hands it on: the client's own bytes, but for the model's name and the usage report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from serin.serve.gateway.endpoints import ENDPOINTS, Endpoint


@dataclass(frozen=True, slots=True)
class Question:
    """``body`` is the client's JSON object and ``value`` what it says; ``headers`` go along to the revision."""

    path: str
    body: bytes
    value: dict[str, Any]
    headers: dict[str, str]
    added: Mapping[str, Any] = field(default_factory=dict)
    """What the gateway asks for beside."""

    @property
    def endpoint(self) -> Endpoint:
        """How the answer to this path is shaped."""
        return ENDPOINTS[self.path]

    @property
    def streamed(self) -> bool:
        """Whether the client asked for a stream."""
        return self.value.get("stream") is True

    @property
    def strips_usage(self) -> bool:
        """Whether usage is reported for the gateway alone: forced, and taken out of what the client gets."""
        if not (self.streamed and self.endpoint.forces_usage):
            return False
        options = self.value.get("stream_options")
        return options is None or (isinstance(options, dict) and not options.get("include_usage"))

    def for_revision(self, revision: str) -> bytes:
        """The body to send.

        What differs is appended: of two members with one name the last counts, for Python's json, which FastAPI calls, as
        for pydantic's and orjson's parsers. So nothing is parsed and written anew, and numbers keep their digits.
        """
        changed: dict[str, Any] = {**self.added, "model": revision}
        if self.strips_usage:
            changed["stream_options"] = {
                **(self.value.get("stream_options") or {}),
                "include_usage": True,
                # Without include_usage it had no effect, and it shall not gain one.
                "continuous_usage_stats": False,
            }
        start = self.body[: self.body.rindex(b"}")]
        return start + (b"," if self.value else b"") + orjson.dumps(changed)[1:]
