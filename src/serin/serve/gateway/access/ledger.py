"""The ledger: the one place that knows what a key has used, over all gateway replicas.

Replicas ask it for tranches, not for every request: half a second's worth of a limit at a time, and give back what they
did not use. So a limit holds exactly, apart from the burst, and what replicas hoard is small.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from serin.core.errors import RetryableError
from serin.serve.gateway.access.buckets import Bucket

Unit = Literal["requests", "tokens"]
_REPLICA_EXPIRES_S = 10.0
_BUCKET_EXPIRES_S = 600.0


@dataclass(frozen=True, slots=True)
class Ask:
    """What a replica wants for one key: at least ``need``, rather ``want``; ``give_back`` is what it had left over."""

    key: str
    unit: Unit
    per_minute: float
    need: float = 0.0
    want: float = 0.0
    give_back: float = 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What it got: ``units`` (0 where it must wait for ``wait_s``), and how much is left for everybody."""

    units: float
    wait_s: float
    left: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """A grant for every ask, in order, and how many replicas there are."""

    grants: tuple[Grant, ...]
    replicas: int


class LedgerClient(Protocol):
    """The way to the ledger, wherever it runs."""

    async def settle(self, replica: str, asks: Sequence[Ask]) -> Settlement:
        """Answer every ask. Raises LedgerAwayError."""
        ...


class LedgerAwayError(RetryableError):
    """The ledger did not answer in time; the replica goes on with its own share."""


class Ledger:
    """All buckets. One that is started anew begins with full ones, which is a burst and no more."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.buckets: dict[tuple[str, Unit], Bucket] = {}
        self.limits: dict[tuple[str, Unit], float] = {}
        self.replicas: dict[str, float] = {}

    def settle(self, replica: str, asks: Sequence[Ask]) -> Settlement:
        """Answer every ask."""
        now = self.clock()
        self.replicas[replica] = now
        self.replicas = {name: t for name, t in self.replicas.items() if now - t < _REPLICA_EXPIRES_S}
        grants = [self._grant(ask, now) for ask in asks]
        for name in [name for name, bucket in self.buckets.items() if now - bucket.t > _BUCKET_EXPIRES_S]:
            del self.buckets[name], self.limits[name]
        return Settlement(tuple(grants), len(self.replicas))

    def _grant(self, ask: Ask, now: float) -> Grant:
        name = (ask.key, ask.unit)
        bucket = self.buckets.get(name)
        if bucket is None or self.limits[name] != ask.per_minute:
            bucket = Bucket.per_minute(ask.per_minute, now)
        if ask.give_back:
            bucket = bucket.give(ask.give_back, now)
        taken, wait_s = 0.0, 0.0
        if ask.need or ask.want:
            bucket, taken, wait_s = bucket.take(ask.need, ask.want, now)
        self.buckets[name], self.limits[name] = bucket, ask.per_minute
        return Grant(taken, wait_s, max(0.0, bucket.level))


class LedgerHere:
    """A ledger in the gateway's own process, for a single replica."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def settle(self, replica: str, asks: Sequence[Ask]) -> Settlement:
        """Answer every ask."""
        return self.ledger.settle(replica, asks)
