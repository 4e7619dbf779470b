"""What a rollout is told: one row an outcome or a feedback."""

from collections.abc import Callable
from typing import Any

from serin.clients.evidence import EvidenceWriter
from serin.serve.gateway.finished import Finished
from serin.serve.gateway.rating import Rating
from serin.serve.gateway.request_id import RequestIdentity


class EvidenceLog:
    """The rows of one gateway replica, on their way to wherever rollouts read them."""

    def __init__(
        self, writer: EvidenceWriter, clock: Callable[[], float], on_loss: Callable[[], None] = lambda: None
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._on_loss = on_loss

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
        """Write what is left; it may take a few seconds."""
        self._writer.close()

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
        dropped = self._writer.dropped
        self._writer.append(row)
        if self._writer.dropped > dropped:
            self._on_loss()
