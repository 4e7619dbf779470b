"""A request's span is the child of the client's and the parent of vLLM's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode

from serin.serve.gateway.telemetry.traces import SpanAttributes, TracedApp

from .....serving.fake_revisions import Behaviour
from .....serving.gateways import CANARY, OTHER, STABLE, Stand, served, stand, until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Traced(NamedTuple):
    here: Stand
    url: str
    spans: InMemorySpanExporter


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Traced]:
    async with TracedStand(tmp_path, 1.0) as made:
        yield made


class TracedStand:
    """A gateway with traces, sampled by ``ratio``."""

    def __init__(self, folder: Path, ratio: float) -> None:
        self.spans = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)))
        self.provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.stand = stand(folder)

    async def __aenter__(self) -> Traced:
        here = await self.stand.__aenter__()
        here.gateway.observers.append(SpanAttributes())
        self.served = served(TracedApp(here.gateway, self.provider, here.gateway.paths))
        return Traced(here, await self.served.__aenter__(), self.spans)

    async def __aexit__(self, *error: object) -> None:
        await self.served.__aexit__(None, None, None)
        await self.stand.__aexit__(None, None, None)


async def ask(traced: Traced, headers: dict[str, str] | None = None) -> None:
    body = {"messages": [{"role": "user", "content": "How long?"}]}
    async with traced.here.http.post(f"{traced.url}/v1/chat/completions", json=body, headers=headers) as answer:
        await answer.read()


async def test_the_clients_trace_goes_on_through_the_gateway_to_the_revision(traced: Traced) -> None:
    await ask(traced, {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"})
    await until(lambda: len(traced.spans.get_finished_spans()) == 1)
    (span,) = traced.spans.get_finished_spans()
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    sent = traced.here.stable.asked[0].headers
    assert sent["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert sent["tracestate"] == "vendor=1"
    attributes = dict(span.attributes or {})
    assert attributes["gen_ai.usage.output_tokens"] == 4
    assert attributes["serin.revision"] == attributes["gen_ai.response.model"] == STABLE
    assert attributes["http.response.status_code"] == 200
    assert "How long?" not in str(attributes)


async def test_a_failure_marks_the_span_and_a_shadow_does_not_write_on_it(traced: Traced) -> None:
    traced.here.split(rollout="r1", canary=CANARY, canary_weight=1.0, shadow=OTHER, shadow_share=1.0)
    traced.here.canary.behaviour = Behaviour(status=500)
    await ask(traced)
    await traced.here.seen.told(2)
    await until(lambda: len(traced.spans.get_finished_spans()) == 1)
    (span,) = traced.spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["serin.revision"] == CANARY


async def test_paths_that_clients_make_up_name_no_span(traced: Traced) -> None:
    async with traced.here.http.get(f"{traced.url}/made/up/12345") as answer:
        assert answer.status == 404
    await until(lambda: len(traced.spans.get_finished_spans()) == 1)
    assert traced.spans.get_finished_spans()[0].name == "GET (other)"


async def test_what_is_not_sampled_is_not_traced_by_the_revision_either(tmp_path: Path) -> None:
    async with TracedStand(tmp_path, 0.0) as traced:
        await ask(traced)
        flags = int(traced.here.stable.asked[0].headers["traceparent"].rpartition("-")[2], 16)
        assert not flags & 1
        assert not traced.spans.get_finished_spans()
