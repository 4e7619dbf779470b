"""Figures of the gateway for Prometheus. A request costs a handful of additions, a token none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from serin.serve.gateway.finished import Finished
from serin.serve.gateway.rating import Rating
from serin.serve.gateway.refusals import Refusal
from serin.serve.gateway.request_id import RequestIdentity

# From a cached prompt on an idle GPU to a queue that is far too long.
_TTFT_S = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 7.5, 10, 20, 40)
# From a small model on a fast GPU (200 tokens/s) to slower than people read.
_TPOT_S = (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1)
_REQUEST_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 40, 60, 120, 300)
_SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)
_ARM = ("revision", "arm")
Mode = Literal["livesum", "livemin", "livemostrecent"]


@dataclass(frozen=True, slots=True)
class _Arm:
    """What one arm's requests are counted in; the library looks a label up more slowly than it adds."""

    ttft: Histogram
    tpot: Histogram
    duration: Histogram


class GatewayMetrics:
    """What ``/metrics`` shows of one replica. Where several write into one folder, counters add up over all of them, also
    over those that have ended, and gauges over those that live."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = self._counter("requests", "Requests by the status of the answer.", (*_ARM, "path", "code"))
        self.failures = self._counter(
            "failures", "Requests that did not go as they should, by what went wrong.", (*_ARM, "kind")
        )
        self.refusals = self._counter(
            "refused",
            "Requests refused before a revision was chosen for them; they stand in no other figure.",
            ("reason",),
        )
        # Each stands at 0 from the start: a rate cannot be taken of the first one that makes its series appear.
        self._refused = {reason: self.refusals.labels(reason) for reason in get_args(Refusal)}
        self.failovers = self._counter("failovers", "Requests that stable answered in the arm's place.", _ARM)
        self.ttft = self._histogram("ttft_seconds", "From assignment to the first byte of the answer.", _ARM, _TTFT_S)
        self.tpot = self._histogram("tpot_seconds", "Time per output token after the first.", _ARM, _TPOT_S)
        self.durations = self._histogram("request_seconds", "From assignment to the last byte.", _ARM, _REQUEST_S)
        self.prompt_tokens = self._counter("prompt_tokens", "Tokens of prompts, by who answered.", ("revision",))
        self.completion_tokens = self._counter(
            "completion_tokens", "Tokens of answers, by who answered.", ("revision",)
        )
        self.feedback = self._histogram("feedback_score", "Scores that clients gave.", _ARM, _SCORES)
        self.lost_lines = self._counter("lost_lines", "Lines that the disk did not take.", ("log",))
        self.captured = self._counter("captured", "Requests and feedbacks captured.", ())
        self.not_captured = self._counter("capture_dropped", "What should have been captured and is lost.", ("reason",))
        self.in_flight = self._gauge("in_flight", "Requests under way at a revision.", ("revision",), "livesum")
        self.weights_version = self._gauge(
            "weights_version", "Version of the split that every replica follows.", (), "livemin"
        )
        self.arm_weight = self._gauge("arm_weight", "Share of the units of an arm.", _ARM, "livemostrecent")
        self._arms: dict[tuple[str, str], _Arm] = {}
        self._requests: dict[tuple[str, str, str, int], Counter] = {}
        self._tokens: dict[str, tuple[Counter, Counter]] = {}
        self._weighed: set[tuple[str, str]] = set()
        self._flying: set[str] = set()

    def wants_bodies(self, identity: RequestIdentity) -> bool:  # noqa: ARG002 - an observer's shape
        """Never."""
        return False

    def finished(self, record: Finished) -> None:
        """Count one request, or one shadow of one, by the arm that it was assigned to."""
        revision, arm = record.identity.revision, record.identity.arm
        key = (revision, arm, record.path, record.status // 100)
        counter = self._requests.get(key)
        if counter is None:
            code = f"{record.status // 100}xx" if record.status else "none"
            counter = self._requests[key] = self.requests.labels(revision, arm, record.path, code)
        counter.inc()
        series = self._arms.get((revision, arm))
        if series is None:
            series = self._arms[revision, arm] = _Arm(
                self.ttft.labels(revision, arm), self.tpot.labels(revision, arm), self.durations.labels(revision, arm)
            )
        series.duration.observe(record.duration_s)
        if record.ttft_s is not None:
            series.ttft.observe(record.ttft_s)
        if record.tpot_s is not None:
            series.tpot.observe(record.tpot_s)
        if record.kind is not None:
            self.failures.labels(revision, arm, record.kind).inc()
        if record.failover:
            self.failovers.labels(revision, arm).inc()
        if record.answered_by is not None:
            self._count_tokens(record.answered_by, record.prompt_tokens or 0, record.completion_tokens or 0)

    def refused(self, reason: Refusal) -> None:
        """Count a request that never came to a revision."""
        self._refused[reason].inc()

    def rated(self, rating: Rating) -> None:
        """Count a score; one that replaces another is counted beside it."""
        self.feedback.labels(rating.identity.revision, rating.identity.arm).observe(rating.score)

    def shows(self, version: int, arms: Mapping[tuple[str, str], float], in_flight: Mapping[str, int]) -> None:
        """The split that is followed, by (revision, arm), and requests under way by revision; what is gone shows 0."""
        self.weights_version.set(version)
        for revision, arm in self._weighed | arms.keys():
            self.arm_weight.labels(revision, arm).set(arms.get((revision, arm), 0.0))
        for revision in self._flying | in_flight.keys():
            self.in_flight.labels(revision).set(in_flight.get(revision, 0))
        self._weighed |= arms.keys()
        self._flying |= in_flight.keys()

    def _count_tokens(self, revision: str, prompt_tokens: int, completion_tokens: int) -> None:
        counters = self._tokens.get(revision)
        if counters is None:
            counters = self._tokens[revision] = (
                self.prompt_tokens.labels(revision),
                self.completion_tokens.labels(revision),
            )
        counters[0].inc(prompt_tokens)
        counters[1].inc(completion_tokens)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"serin_gateway_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"serin_gateway_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...], mode: Mode) -> Gauge:
        return Gauge(f"serin_gateway_{name}", text, labels, multiprocess_mode=mode, registry=self.registry)
