"""A gateway replica with all that its params ask for, and what only its place can tell."""

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serin.clients.evidence.shipped import StorageWriter
from serin.clients.serving_state import ServingState
from serin.clients.storage import open_storage
from serin.core.errors import ConfigError
from serin.core.params import CaptureParams, ServeParams, StorageParams
from serin.serve.asgi import App
from serin.serve.gateway.access.ledger import LedgerClient
from serin.serve.gateway.app import Gateway
from serin.serve.gateway.finished import Observer
from serin.serve.gateway.settings import GatewaySettings
from serin.serve.gateway.telemetry.exposition import shared_folder
from serin.serve.gateway.telemetry.metrics import GatewayMetrics
from serin.serve.gateway.telemetry.telemetry import Telemetry
from serin.serve.trace_endpoint import trace_endpoint

if TYPE_CHECKING:  # brings Arrow, which only those who capture have to load
    from serin.serve.gateway.capture.capture import Capture

_YOUNG_OBJECTS = 10_000
"""That many more than were freed, and the collector looks at them; Python's own 700 are there after every few requests."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replica runs. ``folder`` is its node's, for the access log and the spool; ``storage`` gets what is captured.

    ``ships_evidence``: rollouts run elsewhere, and read the rows from ``storage``.
    """

    metrics_host: str
    folder: Path
    storage: StorageParams | None
    ships_evidence: bool = False


async def assemble(
    params: ServeParams,
    settings: GatewaySettings,
    state: ServingState,
    replica: str,
    place: Place,
    environment: Mapping[str, str],
    ledger: LedgerClient | None = None,
) -> App:
    """A gateway that follows the state; ``ledger`` is None where there is no other replica.

    Raises:
        ConfigError: something is asked for that cannot be had here.
    """
    telemetry = Telemetry(
        params.telemetry, place.metrics_host, shared_folder(), place.folder / "access" / f"{replica}.jsonl", time.time
    )
    capture = None
    if params.capture.sample > 0:
        capture = _capture(params.capture, place, telemetry.metrics)
    evidence = None
    if place.ships_evidence and place.storage is not None:
        evidence = StorageWriter(open_storage(place.storage), replica)
    gateway = Gateway(settings, state, replica, ledger=ledger, evidence=evidence, telemetry=telemetry, capture=capture)
    app = _traced(gateway, gateway.observers, environment)
    await gateway.start()
    spare_collector()
    return app


def spare_collector() -> None:
    """Keep the garbage collector away from what a replica never lets go; it took a twelfth of the CPU time of a request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def _capture(params: CaptureParams, place: Place, metrics: GatewayMetrics) -> "Capture":
    from serin.serve.gateway.capture.capture import Capture, Counts

    storage = place.storage
    if storage is None:
        raise ConfigError("serve.capture.sample is above 0, and no storage is named: set SERIN_STORAGE, or sample: 0")
    counts = Counts(metrics.captured.inc, lambda reason, count: metrics.not_captured.labels(reason).inc(count))
    return Capture(params, place.folder / "capture", lambda: open_storage(storage), time.time, counts)


def _traced(gateway: Gateway, observers: list[Observer], environment: Mapping[str, str]) -> App:
    endpoint = trace_endpoint(environment)
    if endpoint is None:
        return gateway
    try:
        from serin.serve.gateway.telemetry.traces import SpanAttributes, TracedApp, provider
    except ImportError as error:
        raise ConfigError(
            f"traces are to go to {endpoint.url}, and OpenTelemetry is missing ({error.name}): install 'serin[traces]'"
        ) from error
    traces = provider(endpoint, environment)
    observers.append(SpanAttributes())
    return TracedApp(gateway, traces, gateway.paths)
