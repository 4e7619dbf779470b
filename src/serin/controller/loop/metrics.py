"""Figures for Prometheus."""

import threading
from collections import Counter as Count

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from serin.core.resources.finetune import FineTuneStatus

_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
_PHASES = ("Pending", "Queued", "Running", "Suspended", "Succeeded", "Failed")


class Metrics:
    """What ``/metrics`` shows; a registry of its own, so that two loops in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.finetunes = Gauge("serin_finetunes", "FineTunes by phase.", ["phase"], registry=self.registry)
        self.reconciles = Counter(
            "serin_reconciles", "Looks at a FineTune, by how they ended.", ["outcome"], registry=self.registry
        )
        self.reconcile_seconds = Histogram(
            "serin_reconcile_seconds", "How long one look takes.", buckets=_SECONDS, registry=self.registry
        )
        self.queue = Gauge("serin_queue_depth", "FineTunes that wait to be looked at.", registry=self.registry)
        self.requests = Counter(
            "serin_api_requests",
            "Requests to the API server; code 0: no answer.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "serin_api_request_seconds",
            "From a request to its answer's first byte.",
            ["verb"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.jobs = Counter(
            "serin_jobs_created", "Jobs and JobSets that were created.", ["stage"], registry=self.registry
        )
        self.refused = Counter(
            "serin_jobs_refused", "Jobs that the API server did not take.", ["stage"], registry=self.registry
        )
        self.gpu_seconds = Counter(
            "serin_gpu_seconds", "GPUs times seconds that attempts took.", registry=self.registry
        )
        self.leader = Gauge("serin_leader", "1 where this process acts.", registry=self.registry)
        for phase in _PHASES:
            self.finetunes.labels(phase)
        self._known: dict[str, tuple[str, str, float]] = {}
        self._lock = threading.Lock()

    def heard(self, verb: str, plural: str, code: int, seconds: float) -> None:
        """An answer of the API server."""
        self.requests.labels(verb, plural, str(code)).inc()
        self.request_seconds.labels(verb).observe(seconds)

    def saw(self, name: str, uid: str, status: FineTuneStatus) -> None:
        """How a FineTune stands. GPU seconds from before this process are not counted again."""
        with self._lock:
            before = self._known.get(name)
            self._known[name] = (uid, status.phase, status.gpu_seconds)
            if before is not None and before[0] == uid:
                self.gpu_seconds.inc(max(0.0, status.gpu_seconds - before[2]))
            self._count()

    def lost(self, name: str) -> None:
        """A FineTune is gone."""
        with self._lock:
            if self._known.pop(name, None) is not None:
                self._count()

    def _count(self) -> None:
        counts = Count(phase for _, phase, _ in self._known.values())
        for phase in _PHASES:
            self.finetunes.labels(phase).set(counts[phase])
