"""A rollout's evidence as rows in SQLite, from the gateways' logs; every e-value can be computed again from them.

``exposures`` holds each unit's first request of the rollout; ``observations`` is append-only, with the primary key
(rollout, unit, metric), and is written once a unit's outcome closes, ``horizon_s`` after its assignment. An outcome
that the gateway logs later than that (a request that hung) enters the first batch that is still open, so that it is
never lost; choose a horizon longer than the answers take, and none is late.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Literal

from serin.core.errors import InputError
from serin.rollout.eprocess import MetricEvidence, Outcome, fold
from serin.rollout.outcomes import Exposure, Observation, bad_in, exposure_of
from serin.rollout.policy import BATCH_S, RolloutState

_NEWEST_LATENCIES = 2000
_BUSY_S = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, offset INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS exposures (
    unit TEXT PRIMARY KEY, request TEXT NOT NULL, arm TEXT NOT NULL, weight REAL NOT NULL, assigned_t REAL NOT NULL,
    error INTEGER NOT NULL, ttft_s REAL, tpot_s REAL, tokens INTEGER NOT NULL, kind TEXT,
    closed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS feedback (
    request TEXT PRIMARY KEY, t REAL NOT NULL, assigned_t REAL NOT NULL, score REAL NOT NULL);
CREATE TABLE IF NOT EXISTS stable_latencies (request TEXT PRIMARY KEY, t REAL NOT NULL, ttft_s REAL, tpot_s REAL);
CREATE TABLE IF NOT EXISTS observations (
    rollout TEXT NOT NULL, unit TEXT NOT NULL, metric TEXT NOT NULL, arm TEXT NOT NULL, weight REAL NOT NULL,
    y INTEGER NOT NULL, assigned_t REAL NOT NULL, batch INTEGER NOT NULL, PRIMARY KEY (rollout, unit, metric));
CREATE INDEX IF NOT EXISTS open_exposures ON exposures (assigned_t) WHERE closed = 0;
CREATE TABLE IF NOT EXISTS batches (rollout TEXT PRIMARY KEY, closed INTEGER NOT NULL);
"""
_FIRST_EXPOSURE = """
INSERT INTO exposures (unit, request, arm, weight, assigned_t, error, ttft_s, tpot_s, tokens, kind)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (unit) DO UPDATE SET request = excluded.request, arm = excluded.arm, weight = excluded.weight,
    assigned_t = excluded.assigned_t, error = excluded.error, ttft_s = excluded.ttft_s, tpot_s = excluded.tpot_s,
    tokens = excluded.tokens, kind = excluded.kind
WHERE excluded.assigned_t < exposures.assigned_t AND exposures.closed = 0
"""
_LAST_FEEDBACK = """
INSERT INTO feedback (request, t, assigned_t, score) VALUES (?, ?, ?, ?)
ON CONFLICT (request) DO UPDATE SET t = excluded.t, score = excluded.score WHERE excluded.t > feedback.t
"""


class Evidence:
    """The evidence of one rollout, in the file at ``path`` (``:memory:`` for a simulation)."""

    def __init__(self, path: Path | str, rollout: str, stable: str) -> None:
        self.rollout = rollout
        self.stable = stable
        self._rows = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        self._rows.execute("PRAGMA journal_mode = WAL")
        self._rows.executescript(_SCHEMA)

    def close_file(self) -> None:
        """Let the file go."""
        self._rows.close()

    def ingest_folder(self, folder: Path, horizon_s: float) -> None:
        """Take in what gateways appended to ``*.jsonl`` since the last call; reading again changes nothing."""
        for path in sorted(folder.glob("*.jsonl")):
            with self._transaction():
                row = self._rows.execute("SELECT offset FROM files WHERE path = ?", (path.name,)).fetchone()
                lines, offset = _whole_lines(path, row[0] if row else 0)
                self._take_in(_records(lines), horizon_s)
                self._rows.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (path.name, offset))

    def ingest(self, records: Iterable[Mapping[str, Any]], horizon_s: float) -> None:
        """Take in records as a gateway logs them; one that was taken in before changes nothing."""
        with self._transaction():
            self._take_in(records, horizon_s)

    def stable_ttfts_s(self) -> list[float]:
        """Stable's newest times to first token."""
        return self._stable_latencies("ttft_s")

    def stable_tpots_s(self) -> list[float]:
        """Stable's newest times per output token."""
        return self._stable_latencies("tpot_s")

    def close(self, state: RolloutState, now: float) -> None:
        """Close every batch whose units were all assigned ``horizon_s`` ago: their outcomes become observations."""
        if state.counted_from is None:
            return
        with self._transaction():
            row = self._rows.execute("SELECT closed FROM batches WHERE rollout = ?", (self.rollout,)).fetchone()
            closed = int(row[0]) if row else 0
            due = int((now - state.params.horizon_s - state.counted_from) // BATCH_S)
            if due <= closed:
                return
            until = state.counted_from + due * BATCH_S
            for exposure in self._open_exposures(state.counted_from, until):
                natural = int((exposure.assigned_t - state.counted_from) // BATCH_S)
                self._observe(state, exposure, max(closed, min(natural, due - 1)))
            self._rows.execute("INSERT OR REPLACE INTO batches VALUES (?, ?)", (self.rollout, due))

    def observations(self, from_batch: int = 0) -> list[Observation]:
        """Closed observations of a batch and later ones, in the order in which they count."""
        query = """SELECT unit, metric, arm, weight, y, assigned_t, batch FROM observations
                   WHERE rollout = ? AND batch >= ? ORDER BY batch, assigned_t, unit, metric"""
        return [Observation(*row) for row in self._rows.execute(query, (self.rollout, from_batch))]

    def _take_in(self, records: Iterable[Mapping[str, Any]], horizon_s: float) -> None:
        for record in records:
            try:
                if record["type"] == "outcome":
                    self._outcome(record)
                elif record["type"] == "feedback" and record["rollout"] == self.rollout:
                    self._feedback(record, horizon_s)
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"evidence {dict(record)!r:.200}: {error!r}; expected a gateway's line, so gateway and rollout may "
                    "be of different versions: restart serving with this one"
                ) from error

    def _outcome(self, record: Mapping[str, Any]) -> None:
        seen = exposure_of(record)
        if record["revision"] == self.stable and not record["failover"]:
            row = (seen.request, float(record["t"]), seen.ttft_s, seen.tpot_s)
            self._rows.execute("INSERT OR IGNORE INTO stable_latencies VALUES (?, ?, ?, ?)", row)
        if record["rollout"] == self.rollout:
            self._rows.execute(_FIRST_EXPOSURE, astuple(seen))

    def _feedback(self, record: Mapping[str, Any], horizon_s: float) -> None:
        t, assigned_t = float(record["t"]), float(record["assigned_t"])
        if t - assigned_t <= horizon_s:
            self._rows.execute(_LAST_FEEDBACK, (str(record["request"]), t, assigned_t, float(record["score"])))

    def _open_exposures(self, counted_from: float, until: float) -> list[Exposure]:
        query = """SELECT unit, request, arm, weight, assigned_t, error, ttft_s, tpot_s, tokens, kind FROM exposures
                   WHERE closed = 0 AND assigned_t >= ? AND assigned_t < ? ORDER BY assigned_t, unit"""
        return [Exposure(*row) for row in self._rows.execute(query, (counted_from, until))]

    def _stable_latencies(self, column: Literal["ttft_s", "tpot_s"]) -> list[float]:
        query = f"SELECT {column} FROM stable_latencies WHERE {column} IS NOT NULL ORDER BY t DESC LIMIT ?"
        return [float(row[0]) for row in self._rows.execute(query, (_NEWEST_LATENCIES,))]

    def _observe(self, state: RolloutState, exposure: Exposure, batch: int) -> None:
        row = self._rows.execute("SELECT score FROM feedback WHERE request = ?", (exposure.request,)).fetchone()
        score = None if row is None else float(row[0])
        for metric in state.metrics:
            y = bad_in(metric, exposure, score, state.params, state.ttft_threshold_s, state.tpot_threshold_s)
            values = (self.rollout, exposure.unit, metric, exposure.arm, exposure.weight, y, exposure.assigned_t, batch)
            self._rows.execute("INSERT OR IGNORE INTO observations VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        self._rows.execute("UPDATE exposures SET closed = 1 WHERE unit = ?", (exposure.unit,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, and one writer at a time, also among processes."""
        self._rows.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._rows.execute("ROLLBACK")
            raise
        self._rows.execute("COMMIT")


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


def _whole_lines(path: Path, offset: int) -> tuple[list[bytes], int]:
    """Lines after ``offset`` that are complete, and where the next one begins; a file that shrank is read anew."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(offset if offset <= file.tell() else 0)
        start = file.tell()
        data = file.read()
    whole = data.rfind(b"\n") + 1
    return data[:whole].splitlines(), start + whole


def _records(lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """JSON objects; a line that a crash of the gateway's machine tore is left out."""
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record
