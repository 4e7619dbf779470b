"""The evidence log: one JSON line an outcome or a feedback, appended, never rewritten."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from serin.serve.gateway.finished import Finished
from serin.serve.gateway.request_id import RequestIdentity


class EvidenceLog:
    """Appends to one gateway replica's file. A line is one ``write`` to an O_APPEND descriptor: whole or not there."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

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

    def feedback(self, identity: RequestIdentity, now: float, score: float) -> None:
        """What a client thought of an answer, in [0, 1]. A reader counts one per request, the last."""
        self._append("feedback", identity, now, {"score": score})

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._file)

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
        os.write(self._file, orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
