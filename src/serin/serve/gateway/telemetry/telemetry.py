"""The telemetry of one replica: the parts that its params ask for, and how often the slow figures are looked at."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from serin.clients.serving_state import Weights
from serin.core.params import TelemetryParams
from serin.serve.gateway.telemetry.access_log import AccessLog
from serin.serve.gateway.telemetry.exposition import Exposition
from serin.serve.gateway.telemetry.log_file import LogFile
from serin.serve.gateway.telemetry.metrics import GatewayMetrics

_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is true of a replica now."""

    weights: Weights
    in_flight: dict[str, int]


class Telemetry:
    """Metrics are counted in any case; they are shown where there is a port."""

    def __init__(
        self, params: TelemetryParams, host: str, folder: Path | None, log_path: Path, clock: Callable[[], float]
    ) -> None:
        """``folder`` is shared by the replicas of a node; ``log_path`` is this replica's."""
        self.metrics = GatewayMetrics(CollectorRegistry())
        self.exposition = None
        if params.metrics_port is not None:
            self.exposition = Exposition(host, params.metrics_port, self.metrics.registry, folder)
        self.access_log = None
        if params.access_log == "file":
            file = LogFile(log_path, params.access_log_mib << 20, params.access_log_files)
            file.on_loss = self.metrics.lost_lines.labels("access").inc
            self.access_log = AccessLog(file, clock)
        elif params.access_log == "stdout":
            self.access_log = AccessLog(None, clock)
        self._looking: asyncio.Task[None] | None = None

    @property
    def observers(self) -> list[GatewayMetrics | AccessLog]:
        """Who is to be told of requests and ratings."""
        return [self.metrics] if self.access_log is None else [self.metrics, self.access_log]

    def start(self, standing: Callable[[], Standing]) -> None:
        """Begin; call it inside the event loop that serves."""
        self._looking = asyncio.get_running_loop().create_task(self._look(standing))
        if self.exposition is not None:
            self.exposition.start()

    async def close(self) -> None:
        """End."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self.exposition is not None:
            await asyncio.to_thread(self.exposition.close)
        if self.access_log is not None:
            self.access_log.close()

    async def _look(self, standing: Callable[[], Standing]) -> None:
        while True:
            now = standing()
            self.metrics.shows(now.weights.version, shares(now.weights), now.in_flight)
            await asyncio.sleep(_LOOK_S)


def shares(weights: Weights) -> dict[tuple[str, str], float]:
    """The share of each (revision, arm)."""
    revisions = {"stable": weights.stable, "canary": weights.canary, **{name: name for name in weights.variants}}
    return {(revisions[arm] or "", arm): share for arm, share in weights.arms().items() if revisions[arm]}
