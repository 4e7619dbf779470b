"""What telling of a request costs the gateway: CPU microseconds of its process a request, for each observer.

python benchmarks/gateway_telemetry.py [--requests 20000] [--write]

Each observer is told of the same requests, outside of a gateway. Metrics are counted as in a replica, into memory-mapped files
(PROMETHEUS_MULTIPROC_DIR); a trace is a span that is sampled, batched and sent nowhere, or one that is not sampled. Capture is
told of streams of 50 events, of which one in a hundred is drawn, or all: what its own threads take counts too.
"""

import argparse
import asyncio
import os
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

_FOLDER = tempfile.mkdtemp(prefix="serin-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _FOLDER  # prometheus_client reads it when it is imported

from machine import describe  # noqa: E402 - after the variable
from opentelemetry.sdk.trace import TracerProvider  # noqa: E402 - after the variable
from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: E402 - after the variable
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402 - after the variable
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: E402 - after the variable
from prometheus_client import CollectorRegistry  # noqa: E402 - after the variable

from serin.clients.evidence.folder import FolderWriter  # noqa: E402 - after the variable
from serin.clients.storage import FolderStorage  # noqa: E402 - after the variable
from serin.core.params import CaptureParams  # noqa: E402 - after the variable
from serin.serve.asgi import Message, Receive, Scope, Send  # noqa: E402 - after the variable
from serin.serve.gateway.capture.capture import Capture, Counts  # noqa: E402 - after the variable
from serin.serve.gateway.evidence import EvidenceLog  # noqa: E402 - after the variable
from serin.serve.gateway.finished import Bodies, Finished, Observer  # noqa: E402 - after the variable
from serin.serve.gateway.request_id import RequestIdentity  # noqa: E402 - after the variable
from serin.serve.gateway.telemetry.access_log import AccessLog  # noqa: E402 - after the variable
from serin.serve.gateway.telemetry.log_file import LogFile  # noqa: E402 - after the variable
from serin.serve.gateway.telemetry.metrics import GatewayMetrics  # noqa: E402 - after the variable
from serin.serve.gateway.telemetry.traces import TracedApp  # noqa: E402 - after the variable

RESULT = Path(__file__).parent / "results/gateway_telemetry.txt"
_REQUEST = b'{"messages": [{"role": "user", "content": "How long may a probation period last?"}], "stream": true}'
_EVENT = b'data: {"model":"a@1","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
_BODIES = Bodies(_REQUEST, _EVENT * 49 + _EVENT.replace(b"null", b'"stop"') + b"data: [DONE]\n\n")


def record(number: int) -> Finished:
    """A stream that went well, of one of two arms."""
    arm = "canary" if number % 10 == 0 else "stable"
    identity = RequestIdentity(uuid.uuid4().hex, f"law-qa@{arm}", "f" * 32, arm, 0.1, "r1", 1e9)
    return Finished(
        identity=identity,
        path="/v1/chat/completions",
        caller="0123456789ab",
        status=200,
        error=False,
        kind=None,
        ttft_s=0.1,
        tpot_s=0.02,
        duration_s=1.1,
        prompt_tokens=20,
        completion_tokens=50,
        failover=False,
        streamed=True,
        answered_by=identity.revision,
        bodies=_BODIES,
    )


def cost_us(work: Callable[[], None], count: int) -> float:
    """CPU microseconds of this process for one of ``count`` requests."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / count * 1e6


def told(observer: Observer, records: list[Finished]) -> Callable[[], None]:
    """Tell an observer of all of them."""

    def work() -> None:
        for each in records:
            observer.wants_bodies(each.identity)
            observer.finished(each)

    return work


def captured(folder: Path, sample: float, records: list[Finished]) -> Callable[[], None]:
    """Capture all that are drawn, until they lie in storage."""
    counts = Counts(lambda _: None, lambda *_: None)
    params = CaptureParams(sample=sample)
    capture = Capture(params, folder / "spool", lambda: FolderStorage(folder / "storage"), time.time, counts)

    def work() -> None:
        capture.start()
        for number, each in enumerate(records):
            if capture.wants_bodies(each.identity):
                capture.finished(each)
            if number % 1000 == 0:
                time.sleep(0.2)  # what waits is bounded
        capture.close()

    return work


def traced(ratio: float, records: list[Finished]) -> Callable[[], None]:
    """Requests through the middleware that makes spans."""
    provider = TracerProvider(sampler=TraceIdRatioBased(ratio))
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        pass

    path = records[0].path
    around = TracedApp(app, provider, {path})
    scope: Scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"content-type", b"application/json")]}

    async def requests() -> None:
        for _ in records:
            await around(scope, receive, send)

    return lambda: asyncio.run(requests())


def main() -> None:
    """Measure, print, and with ``--write`` keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    records = [record(number) for number in range(options.requests)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = {
            "evidence": told(EvidenceLog(FolderWriter(folder / "evidence"), time.time), records),
            "metrics": told(GatewayMetrics(CollectorRegistry()), records),
            "access log, to a file": told(AccessLog(LogFile(folder / "access", 64 << 20, 4), time.time), records),
            "traces, none sampled": traced(0.0, records),
            "traces, all sampled": traced(1.0, records),
            "capture of one in a hundred": captured(folder / "a", 0.01, records),
            "capture of all": captured(folder / "b", 1.0, records),
        }
        lines = [f"{'CPU microseconds a request':40}", ""]
        lines += [f"{what:40}{cost_us(does, options.requests):8.1f}" for what, does in work.items()]
    text = "\n".join([describe(), "", *lines, ""])
    print(text)
    if options.write:
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
