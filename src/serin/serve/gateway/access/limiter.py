"""One replica's side of the limits: a purse for each key, filled from the ledger and emptied back into it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from serin.serve.gateway.access.buckets import Bucket
from serin.serve.gateway.access.keys import ApiKey
from serin.serve.gateway.access.ledger import Ask, Grant, LedgerAwayError, LedgerClient, Unit

_TRANCHE_S = 0.5
"""How many seconds' worth of a limit is fetched at a time."""
_CLOSED_S = 0.1
"""A purse that got less than it wanted does not ask again so soon: a key at its limit costs the ledger next to nothing."""
_IDLE_S = 2.0
"""A purse that nobody used for so long is emptied back."""


@dataclass(slots=True)
class Purse:
    """What this replica holds of one limit; below zero where requests used more than was estimated."""

    key: str
    unit: Unit
    per_minute: float
    credit: float = 0.0
    used_t: float = 0.0
    closed_until: float = 0.0
    left: float = 0.0
    """What the ledger had left when it was asked last."""
    alone: Bucket | None = None
    """This replica's own share, while the ledger is away."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def tranche(self) -> float:
        """What is fetched at a time."""
        return self.per_minute / 60 * _TRANCHE_S


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a request may go on; where not, the seconds until it may."""

    admitted: bool
    wait_s: float = 0.0
    unit: Unit = "requests"
    limit: float = 0.0
    left: float = 0.0


class Limiter:
    """Admits requests of keys. ``return_surplus`` has to be called every second."""

    def __init__(self, replica: str, ledger: LedgerClient, clock: Callable[[], float]) -> None:
        self.replica = replica
        self.ledger = ledger
        self.clock = clock
        self.purses: dict[tuple[str, Unit], Purse] = {}
        self.replicas = 1
        self.in_flight: Counter[str] = Counter()
        """Requests that this replica has under way, by key."""

    @contextmanager
    def enter(self, key: ApiKey) -> Iterator[bool]:
        """Hold one of the key's places for requests under way; False where none is free."""
        most = key.limits.max_in_flight
        if most is not None and self.in_flight[key.id] >= max(1, most // self.replicas):
            yield False
            return
        self.in_flight[key.id] += 1
        try:
            yield True
        finally:
            self.in_flight[key.id] -= 1
            if not self.in_flight[key.id]:
                del self.in_flight[key.id]

    async def admit(self, key: ApiKey | None, unit: Unit, cost: float) -> Admission:
        """Take ``cost`` units of a key's limit, if it has one."""
        per_minute = _limit_of(key, unit)
        if key is None or per_minute is None:
            return Admission(True, unit=unit)
        purse = self._purse(key.id, unit, per_minute)
        async with purse.lock:
            wait_s = 0.0 if self._spend(purse, cost) else await self._fetch(purse, cost)
        return Admission(wait_s == 0.0, wait_s, unit, per_minute, max(0.0, purse.credit) + purse.left)

    def correct(self, key: ApiKey | None, unit: Unit, difference: float) -> None:
        """Give back what an estimate took too much of, or charge for the rest (a negative ``difference``)."""
        per_minute = _limit_of(key, unit)
        if key is not None and per_minute is not None:
            self._purse(key.id, unit, per_minute).credit += difference

    async def return_surplus(self) -> None:
        """Give the ledger what lies here unused, and tell it of debts and of this replica; idle purses are forgotten."""
        now = self.clock()
        asks, purses = [], []
        for purse in self.purses.values():
            kept = purse.tranche if now - purse.used_t < _IDLE_S else 0.0
            surplus = purse.credit - kept if purse.credit > kept else min(purse.credit, 0.0)
            if surplus and not purse.lock.locked():
                purse.credit -= surplus
                asks.append(Ask(purse.key, purse.unit, purse.per_minute, give_back=surplus))
                purses.append(purse)
        try:
            settled = await self.ledger.settle(self.replica, asks)
        except LedgerAwayError:
            for purse, ask in zip(purses, asks, strict=True):
                purse.credit += ask.give_back
        else:
            self.replicas = max(1, settled.replicas)
            for purse, grant in zip(purses, settled.grants, strict=True):
                self._note(purse, grant)
        self.purses = {
            name: p for name, p in self.purses.items() if p.credit or p.lock.locked() or now - p.used_t < _IDLE_S
        }

    def _purse(self, key: str, unit: Unit, per_minute: float) -> Purse:
        purse = self.purses.get((key, unit))
        if purse is None or purse.per_minute != per_minute:
            purse = self.purses[key, unit] = Purse(key, unit, per_minute)
        purse.used_t = self.clock()
        return purse

    def _spend(self, purse: Purse, cost: float) -> bool:
        if purse.credit < cost:
            return False
        purse.credit -= cost
        return True

    async def _fetch(self, purse: Purse, cost: float) -> float:
        """Fetch a tranche and spend ``cost`` of it; returns the seconds to wait where there is not enough."""
        closed_s = purse.closed_until - self.clock()
        if closed_s > 0:
            return closed_s
        # What is here goes back first: a request larger than the burst waits until all of it is in one place.
        held = max(0.0, purse.credit)
        purse.credit -= held
        need = cost - purse.credit
        ask = Ask(purse.key, purse.unit, purse.per_minute, need, max(need, purse.tranche), held)
        try:
            settled = await self.ledger.settle(self.replica, [ask])
        except LedgerAwayError:
            purse.credit += held
            return self._alone(purse, cost - purse.credit)
        (grant,) = settled.grants
        self._note(purse, grant)
        if grant.units < ask.want:
            purse.closed_until = self.clock() + _CLOSED_S
        if not grant.units:
            return max(grant.wait_s, _CLOSED_S)
        purse.credit += grant.units - cost
        return 0.0

    def _note(self, purse: Purse, grant: Grant) -> None:
        purse.left = grant.left
        purse.alone = None

    def _alone(self, purse: Purse, need: float) -> float:
        """Take from this replica's share of the limit: its part of what all replicas had."""
        share = purse.per_minute / self.replicas
        bucket = purse.alone or Bucket.per_minute(share, self.clock())
        purse.alone, taken, wait_s = bucket.take(need, need, self.clock())
        if not taken:
            return max(wait_s, 1e-3)
        purse.credit = 0.0
        return 0.0


def _limit_of(key: ApiKey | None, unit: Unit) -> float | None:
    if key is None:
        return None
    return key.limits.requests_per_minute if unit == "requests" else key.limits.tokens_per_minute
