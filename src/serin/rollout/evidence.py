"""A rollout's evidence: from the gateways' rows to outcomes that count, each unit once.

Nothing here is stored. What was counted stands in the rollout's steps, with positions of the sources from which on rows
have to be read again; so a process that starts anew concludes what the one before would have.

A unit's outcome closes ``horizon_s`` after its assignment. One that a gateway logs later than that (a request that hung)
enters the first batch that is still open, so that it is never lost; choose a horizon longer than the answers take, and
none is late.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from serin.clients.evidence import Chunk
from serin.core.errors import InputError
from serin.rollout.eprocess import Arm, MetricEvidence, Outcome, fold
from serin.rollout.outcomes import Exposure, Observation, bad_in, exposure_of
from serin.rollout.policy import BATCH_S, RolloutState

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


@dataclass(frozen=True, slots=True)
class _Feedback:
    t: float
    assigned_t: float
    score: float


class Evidence:
    """Rows of one rollout, as far as they have not been counted.

    Args:
        rollout: its id.
        stable: its stable revision, whose latencies are kept until thresholds are frozen.
        positions: where the sources are read on.
    """

    def __init__(self, rollout: str, stable: str, positions: Mapping[str, int] | None = None) -> None:
        self.rollout = rollout
        self.stable = stable
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
        until = _due_until(state, now)
        if state.counted_from is None or until is None:
            return []
        last = int((until - state.counted_from) // BATCH_S) - 1
        found = sorted((e.assigned_t, e.unit) for e in self._open.values() if e.assigned_t < until)
        closed = []
        for assigned_t, unit in found:
            exposure = self._open[unit]
            natural = int((assigned_t - state.counted_from) // BATCH_S)
            batch = max(state.batches, min(natural, last))
            y = self._outcomes(state, exposure) if assigned_t >= state.counted_from else {}
            closed.append(Closed(unit, exposure.arm, exposure.weight, assigned_t, batch, y))
        return closed

    def settle(self, closed: Iterable[Closed]) -> None:
        """These units were counted, here or by another process: they never count again."""
        for unit in closed:
            self._closed.add(_key(unit.unit))
            self._open.pop(unit.unit, None)

    def forget_before(self, state: RolloutState, now: float) -> None:
        """Feedback for units that are all settled is no longer needed, nor are latencies once thresholds are frozen."""
        until = _due_until(state, now)
        if until is None:
            return
        self._latencies.clear()
        self._feedback = {request: each for request, each in self._feedback.items() if each.assigned_t >= until}

    def resume_from(self, state: RolloutState, now: float) -> dict[str, int]:
        """Positions before which every row's unit is settled once what is due now is: where a new process reads on."""
        until = _due_until(state, now)
        found = dict(self.positions)
        for source, chunks in self._unsettled.items():
            while until is not None and chunks and chunks[0][1] < until:
                chunks.popleft()
            if chunks:
                found[source] = chunks[0][0]
        return found

    def _outcome(self, record: Mapping[str, Any]) -> None:
        seen = exposure_of(record)
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

    def _outcomes(self, state: RolloutState, exposure: Exposure) -> dict[str, int]:
        rated = self._feedback.get(exposure.request)
        score = None if rated is None else rated.score
        thresholds = (state.ttft_threshold_s, state.tpot_threshold_s)
        return {metric: bad_in(metric, exposure, score, state.params, *thresholds) for metric in state.metrics}


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


def _due_until(state: RolloutState, now: float) -> float | None:
    """Every unit assigned before this time is due: the end of a whole batch; None before the first one is."""
    if state.counted_from is None:
        return None
    batches = int((now - state.params.horizon_s - state.counted_from) // BATCH_S)
    return state.counted_from + batches * BATCH_S if batches > state.batches else None


def _key(unit: str) -> bytes:
    """A unit's hash, in half the room."""
    try:
        return bytes.fromhex(unit)
    except ValueError:
        return unit.encode()
