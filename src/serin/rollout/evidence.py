"""A rollout's evidence: from the gateways' rows to outcomes that count, each unit once.

Nothing here is stored. What was counted stands in the rollout's steps, with positions of the sources from which on rows
have to be read again; so a process that starts anew concludes what the one before would have.

A unit's outcome closes ``horizon_s`` after its assignment. One that a gateway logs later than that (a request that hung)
enters the first batch that is still open, so that it is never lost; choose a horizon longer than the answers take, and
none is late.
"""

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, cast

from serin.clients.evidence import Chunk
from serin.core.errors import InputError
from serin.rollout.eprocess import Arm, MetricEvidence, Outcome, fold
from serin.rollout.outcomes import ARMS, Exposure, Observation, bad_in, exposure_of
from serin.rollout.state import BATCH_S, RolloutState

_NEWEST_LATENCIES = 2000


@dataclass(frozen=True, slots=True)
class Closed:
    """A unit whose outcomes are final. ``y`` is by metric, 1 = bad; it is empty for a unit of the warm-up, which does not
    count, now or later."""

    unit: str
    arm: Arm
    weight: float
    assigned_t: float
    batch: int
    y: Mapping[str, int]


class Due(NamedTuple):
    """A unit whose horizon is over, the batch in which it counts, and the score of its first answer, if it has one."""

    exposure: Exposure
    batch: int
    score: float | None


class _Horizon(Protocol):
    @property
    def horizon_s(self) -> float: ...


class Counting(Protocol):
    """What evidence is counted by: a rollout's state, or an experiment's."""

    @property
    def counted_from(self) -> float | None: ...
    @property
    def batches(self) -> int: ...
    @property
    def params(self) -> _Horizon: ...


@dataclass(frozen=True, slots=True)
class _Feedback:
    t: float
    assigned_t: float
    score: float


class Evidence:
    """Rows of one rollout or experiment, as far as they have not been counted.

    Args:
        rollout: its id.
        stable: its stable revision, whose latencies are kept until thresholds are frozen.
        positions: where the sources are read on.
        arms: which arms a row of it may name.
        batch_s: length of a batch, by assignment time.
    """

    def __init__(
        self,
        rollout: str,
        stable: str,
        positions: Mapping[str, int] | None = None,
        arms: Collection[str] = ARMS,
        batch_s: float = BATCH_S,
    ) -> None:
        self.rollout = rollout
        self.stable = stable
        self.arms = arms
        self.batch_s = batch_s
        self.positions = dict(positions or {})
        """Behind the last row of each source that was taken in."""
        self._open: dict[str, Exposure] = {}
        self._closed: set[bytes] = set()
        self._feedback: dict[str, _Feedback] = {}
        self._latencies: list[tuple[float, str, float | None, float | None]] = []
        self._unsettled: dict[str, deque[tuple[int, float]]] = {}

    def take_in(self, chunk: Chunk, horizon_s: float) -> None:
        """Keep what a chunk tells of this rollout. Raises InputError for a row that no gateway of this version logs."""
        last_t = self.ingest(chunk.rows, horizon_s)
        self.positions[chunk.source] = chunk.end
        self._unsettled.setdefault(chunk.source, deque()).append((chunk.start, last_t))

    def ingest(self, records: Iterable[Mapping[str, Any]], horizon_s: float) -> float:
        """Keep rows; one that was kept before changes nothing. The last time at which one of their units was assigned."""
        last_t = float("-inf")
        for record in records:
            try:
                if record["type"] == "outcome":
                    self._outcome(record)
                elif record["type"] == "feedback" and record["rollout"] == self.rollout:
                    self._rated(record, horizon_s)
                if record["rollout"] == self.rollout:
                    last_t = max(last_t, float(record["assigned_t"]))
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"evidence {dict(record)!r:.200}: {error!r}; expected a gateway's line, so gateway and rollout may "
                    "be of different versions: restart serving with this one"
                ) from error
        return last_t

    def stable_ttfts_s(self) -> list[float]:
        """Stable's newest times to first token."""
        return [ttft_s for _, _, ttft_s, _ in self._latencies if ttft_s is not None]

    def stable_tpots_s(self) -> list[float]:
        """Stable's newest times per output token."""
        return [tpot_s for _, _, _, tpot_s in self._latencies if tpot_s is not None]

    def due(self, state: RolloutState, now: float) -> list[Closed]:
        """Units whose horizon is over, in the order in which they count. They are due again until they are settled."""
        closed = []
        for exposure, batch, score in self.exposures_due(state, now):
            counts = state.counted_from is not None and exposure.assigned_t >= state.counted_from
            y = _outcomes(state, exposure, score) if counts else {}
            arm = cast(Arm, exposure.arm)
            closed.append(Closed(exposure.unit, arm, exposure.weight, exposure.assigned_t, batch, y))
        return closed

    def exposures_due(self, state: Counting, now: float) -> list[Due]:
        """The same as they were seen, those of the warm-up among them."""
        until = self._due_until(state, now)
        if state.counted_from is None or until is None:
            return []
        last = round((until - state.counted_from) / self.batch_s) - 1
        due = []
        for assigned_t, unit in sorted((e.assigned_t, e.unit) for e in self._open.values() if e.assigned_t < until):
            exposure = self._open[unit]
            natural = int((assigned_t - state.counted_from) // self.batch_s)
            rated = self._feedback.get(exposure.request)
            batch = max(state.batches, min(natural, last))
            due.append(Due(exposure, batch, None if rated is None else rated.score))
        return due

    def settle(self, units: Iterable[str]) -> None:
        """These units were counted, here or by another process: they never count again."""
        for unit in units:
            self._closed.add(_key(unit))
            self._open.pop(unit, None)

    def forget_before(self, state: Counting, now: float) -> None:
        """Feedback for units that are all settled is no longer needed, nor are latencies once thresholds are frozen."""
        until = self._due_until(state, now)
        if until is None:
            return
        self._latencies.clear()
        self._feedback = {request: each for request, each in self._feedback.items() if each.assigned_t >= until}

    def resume_from(self, state: Counting, now: float) -> dict[str, int]:
        """Positions before which every row's unit is settled once what is due now is: where a new process reads on."""
        until = self._due_until(state, now)
        found = dict(self.positions)
        for source, chunks in self._unsettled.items():
            while until is not None and chunks and chunks[0][1] < until:
                chunks.popleft()
            if chunks:
                found[source] = chunks[0][0]
        return found

    def _outcome(self, record: Mapping[str, Any]) -> None:
        if record["rollout"] != self.rollout and record["arm"] not in self.arms:
            return  # of something else that split the traffic
        seen = exposure_of(record, self.arms)
        if record["revision"] == self.stable and not record["failover"]:
            kept = (float(record["t"]), seen.request, seen.ttft_s, seen.tpot_s)
            if len(self._latencies) < _NEWEST_LATENCIES:
                heapq.heappush(self._latencies, kept)
            else:
                heapq.heappushpop(self._latencies, kept)
        if record["rollout"] != self.rollout or _key(seen.unit) in self._closed:
            return
        known = self._open.get(seen.unit)
        if known is None or seen.assigned_t < known.assigned_t:
            self._open[seen.unit] = seen

    def _rated(self, record: Mapping[str, Any], horizon_s: float) -> None:
        new = _Feedback(float(record["t"]), float(record["assigned_t"]), float(record["score"]))
        request = str(record["request"])
        known = self._feedback.get(request)
        if new.t - new.assigned_t <= horizon_s and (known is None or new.t > known.t):
            self._feedback[request] = new

    def _due_until(self, state: Counting, now: float) -> float | None:
        """Every unit assigned before this time is due: the end of a whole batch; None before the first one is."""
        if state.counted_from is None:
            return None
        batches = int((now - state.params.horizon_s - state.counted_from) // self.batch_s)
        return state.counted_from + batches * self.batch_s if batches > state.batches else None


def observations_of(closed: Iterable[Closed]) -> list[Observation]:
    """One observation for each metric of each unit that counts."""
    return [
        Observation(each.unit, metric, each.arm, each.weight, y, each.assigned_t, each.batch)
        for each in closed
        for metric, y in each.y.items()
    ]


def recompute(observations: Iterable[Observation], metric: str, delta: float) -> MetricEvidence:
    """A metric's evidence from its rows alone, for an audit: what the rollout's state must say."""
    batches: dict[int, list[Outcome]] = {}
    for row in observations:
        if row.metric == metric:
            batches.setdefault(row.batch, []).append(Outcome(row.arm, row.weight, row.y))
    evidence = MetricEvidence()
    for batch in sorted(batches):
        evidence = fold(evidence, batches[batch], delta)
    return evidence


def _outcomes(state: RolloutState, exposure: Exposure, score: float | None) -> dict[str, int]:
    thresholds = (state.ttft_threshold_s, state.tpot_threshold_s)
    return {metric: bad_in(metric, exposure, score, state.params, *thresholds) for metric in state.metrics}


def _key(unit: str) -> bytes:
    """A unit's hash, in half the room."""
    try:
        return bytes.fromhex(unit)
    except ValueError:
        return unit.encode()
