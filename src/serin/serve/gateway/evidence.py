"""The evidence log: one JSON line an outcome or a feedback, appended, never rewritten."""

import json
import os
from pathlib import Path
from typing import Any

from serin.serve.gateway.request_id import RequestIdentity


class EvidenceLog:
    """Appends to one gateway replica's file. A line is one ``write`` to an O_APPEND descriptor: whole or not there."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def outcome(self, identity: RequestIdentity, now: float, *, error: bool, ttft_s: float | None, status: int) -> None:
        """How a request ended. ``ttft_s`` is None where the assigned arm sent no token."""
        self._append(
            "outcome",
            identity,
            now,
            {"weight": identity.weight, "error": int(error), "ttft_s": ttft_s, "status": status},
        )

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
        os.write(self._file, (json.dumps(row, separators=(",", ":")) + "\n").encode())
