"""The evidence log: one JSON line an outcome or a feedback, appended, never rewritten."""

from collections.abc import Callable
from typing import Any

import orjson

from serin.serve.gateway.finished import Finished
from serin.serve.gateway.lines import LineFile
from serin.serve.gateway.rating import Rating
from serin.serve.gateway.request_id import RequestIdentity


class EvidenceLog:
    """Appends to one gateway replica's file."""

    def __init__(self, file: LineFile, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._file = file

    def wants_bodies(self, identity: RequestIdentity) -> bool:  # noqa: ARG002 - an observer's shape
        """Never: evidence holds nothing of what was said."""
        return False

    def finished(self, record: Finished) -> None:
        """How a request ended. ``ttft_s`` is None where the assigned arm sent no token; shadows are no evidence."""
        if record.shadow:
            return
        seen = {
            "weight": record.identity.weight,
            "error": int(record.error),
            "kind": record.kind,
            "ttft_s": record.ttft_s,
            "tpot_s": record.tpot_s,
            "tokens": record.completion_tokens,
            "status": record.status,
        }
        self._append("outcome", record.identity, self._clock(), seen)

    def rated(self, rating: Rating) -> None:
        """What a client thought of an answer. A reader counts one per request, the last."""
        self._append("feedback", rating.identity, rating.t, {"score": rating.score})

    def close(self) -> None:
        """Give the descriptor back."""
        self._file.close()

    def _append(self, kind: str, identity: RequestIdentity, now: float, seen: dict[str, Any]) -> None:
        row = {
            "type": kind,
            "t": now,
            "request": identity.nonce,
            "rollout": identity.rollout,
            "unit": identity.unit,
            "arm": identity.arm,
            "revision": identity.revision,
            "assigned_t": identity.assigned_t,
            "failover": identity.failover,
            **seen,
        }
        self._file.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
