"""Where traces go, as OpenTelemetry's variables say it (opentelemetry.io/docs/specs/otel/protocol/exporter)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from serin.core.errors import ConfigError

Protocol = Literal["grpc", "http/protobuf"]
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
_TRACES_PROTOCOL = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"


@dataclass(frozen=True, slots=True)
class TraceEndpoint:
    """A collector's address for traces, whole, and what it speaks."""

    url: str
    protocol: Protocol

    def variables(self) -> dict[str, str]:
        """The same in one way only: vLLM reads these two, and takes gRPC where the second is missing."""
        return {_TRACES_ENDPOINT: self.url, _TRACES_PROTOCOL: self.protocol}


def trace_endpoint(environment: Mapping[str, str]) -> TraceEndpoint | None:
    """Where traces go; None where they are not asked for. Raises ConfigError for a protocol that is none."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    own, common = environment.get(_TRACES_ENDPOINT), environment.get(_ENDPOINT)
    if not own and not common:
        return None
    protocol = environment.get(_TRACES_PROTOCOL) or environment.get(_PROTOCOL) or "http/protobuf"
    if protocol == "grpc":
        return TraceEndpoint(own or common or "", "grpc")
    if protocol == "http/protobuf":
        return TraceEndpoint(own or f"{(common or '').rstrip('/')}/v1/traces", "http/protobuf")
    raise ConfigError(f"{_TRACES_PROTOCOL} is {protocol!r}: expected grpc or http/protobuf")
