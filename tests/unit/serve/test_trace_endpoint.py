"""OpenTelemetry's variables, read as its SDK reads them, and handed to vLLM in the one way that it reads."""

import pytest

from serin.core.errors import ConfigError
from serin.core.params import RevisionParams, ServeParams
from serin.serve.local.settings import RunSettings, environment
from serin.serve.revisions.application import engine_arguments
from serin.serve.trace_endpoint import TraceEndpoint, trace_endpoint

BASE, OWN = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
GRPC = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({BASE: "http://c:4318/"}, TraceEndpoint("http://c:4318/v1/traces", "http/protobuf")),
        ({BASE: "http://c:4317", **GRPC}, TraceEndpoint("http://c:4317", "grpc")),
        ({BASE: "http://c:1", OWN: "http://t/x"}, TraceEndpoint("http://t/x", "http/protobuf")),
        ({BASE: "http://c:1", "OTEL_SDK_DISABLED": "TRUE"}, None),
        ({BASE: "http://c:1", "OTEL_TRACES_EXPORTER": "none"}, None),
    ],
)
def test_where_traces_go(given: dict[str, str], expected: TraceEndpoint | None) -> None:
    assert trace_endpoint(given) == expected


def test_a_protocol_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="'carrier pigeon': expected grpc or http/protobuf"):
        trace_endpoint({BASE: "http://c:1", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "carrier pigeon"})


def test_every_process_of_a_start_sends_to_the_same_place() -> None:
    settings = RunSettings(ServeParams().model_dump(), "/state", "/run", "marker", "secret", 1, 2, 3)
    given = environment(settings, {BASE: "http://c:4318"})
    assert given[OWN] == "http://c:4318/v1/traces"
    assert given["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] == "http/protobuf"
    assert trace_endpoint(given) == trace_endpoint({BASE: "http://c:4318"})
    assert OWN not in environment(settings, {})


def test_a_revision_traces_only_where_traces_go_somewhere() -> None:
    told = engine_arguments(ServeParams(), "a@1", RevisionParams(), on_gpu=True)
    assert "otlp_traces_endpoint" not in told
    told = engine_arguments(ServeParams(), "a@1", RevisionParams(), on_gpu=True, traces="http://c")
    assert told["otlp_traces_endpoint"] == "http://c"
