"""Traces by OpenTelemetry: one span a request, the child of the client's and the parent of vLLM's.

Sampling, resource and batching are the SDK's, by its own variables (``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME``, …). Without
an endpoint nothing of this is imported, and nothing of it runs.
"""

from collections.abc import Collection, Mapping
from contextvars import ContextVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from serin.serve.asgi import App, Receive, Scope, Send
from serin.serve.gateway.finished import Finished
from serin.serve.gateway.request_id import RequestIdentity
from serin.serve.trace_endpoint import TraceEndpoint

_SERVICE = "serin-gateway"
_CONTEXT_HEADERS = (b"traceparent", b"tracestate")
_span: ContextVar[Span | None] = ContextVar("span of the request", default=None)


def provider(endpoint: TraceEndpoint, environment: Mapping[str, str]) -> TracerProvider:
    """A provider that sends spans to ``endpoint``, in a thread of its own."""
    named = {} if environment.get("OTEL_SERVICE_NAME") else {"service.name": _SERVICE}
    made = TracerProvider(resource=Resource.create(named))
    made.add_span_processor(BatchSpanProcessor(_exporter(endpoint)))
    return made


class TracedApp:
    """ASGI middleware. A request that is not sampled passes on that it is not, so that vLLM does not trace it either."""

    def __init__(self, app: App, traces: TracerProvider, paths: Collection[str]) -> None:
        """``paths`` may name spans; others could be anything that a client makes up."""
        self.app = app
        self.tracer = traces.get_tracer("serin.gateway")
        self.paths = paths
        self.propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/healthz":
            await self.app(scope, receive, send)
            return
        given = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CONTEXT_HEADERS}
        path = scope["path"] if scope["path"] in self.paths else "(other)"
        span = self.tracer.start_span(
            f"{scope['method']} {path}",
            self.propagator.extract(given),
            SpanKind.SERVER,
            {"http.request.method": scope["method"], "http.route": path},
        )
        token = _span.set(span)
        try:
            await self.app({**scope, "headers": self._headers(scope, span)}, receive, send)
        finally:
            _span.reset(token)
            span.end()

    def _headers(self, scope: Scope, span: Span) -> list[tuple[bytes, bytes]]:
        from opentelemetry.trace import set_span_in_context

        carrier: dict[str, str] = {}
        self.propagator.inject(carrier, set_span_in_context(span))
        kept = [(name, value) for name, value in scope["headers"] if name not in _CONTEXT_HEADERS]
        return [*kept, *((name.encode(), value.encode("latin-1")) for name, value in carrier.items())]


class SpanAttributes:
    """An observer that writes onto the request's span how it went, in the words of OpenTelemetry's conventions for GenAI."""

    def wants_bodies(self, identity: RequestIdentity) -> bool:  # noqa: ARG002 - an observer's shape
        """Never."""
        return False

    def finished(self, record: Finished) -> None:
        """A shadow outlives the request whose span it would write onto."""
        span = _span.get()
        if span is None or record.shadow or not span.is_recording():
            return
        identity = record.identity
        attributes: dict[str, str | bool | int | float | None] = {
            "serin.request": identity.nonce,
            "serin.arm": identity.arm,
            "serin.revision": identity.revision,
            "serin.failover": record.failover,
            "http.response.status_code": record.status,
            "gen_ai.response.model": record.answered_by,
            "gen_ai.usage.input_tokens": record.prompt_tokens,
            "gen_ai.usage.output_tokens": record.completion_tokens,
            "gen_ai.server.time_to_first_token": record.ttft_s,
            "gen_ai.server.time_per_output_token": record.tpot_s,
            "error.type": record.kind,
        }
        span.set_attributes({name: value for name, value in attributes.items() if value is not None})
        if record.error:
            span.set_status(Status(StatusCode.ERROR, record.kind))


def _exporter(endpoint: TraceEndpoint) -> SpanExporter:
    if endpoint.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

        return GrpcExporter(endpoint=endpoint.url)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

    return HttpExporter(endpoint=endpoint.url)
