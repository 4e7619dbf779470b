"""Limits over several replicas, on a clock that the test moves."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.serve.gateway.access.buckets import BURST, Bucket
from serin.serve.gateway.access.keys import ApiKey, Limits, new_key
from serin.serve.gateway.access.ledger import Ask, Ledger, LedgerAwayError, Settlement
from serin.serve.gateway.access.limiter import Limiter


class Clock:
    def __init__(self) -> None:
        self.t = 0.0

    def __call__(self) -> float:
        return self.t


class Way:
    """The way to a ledger: it takes time, counts, and can be cut."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.calls = 0
        self.away = False

    async def settle(self, replica: str, asks: Sequence[Ask]) -> Settlement:
        self.calls += 1
        await asyncio.sleep(0)
        if self.away:
            raise LedgerAwayError("away")
        return self.ledger.settle(replica, asks)


def key_with(**limits: float) -> ApiKey:
    _, key = new_key("k", ["inference"], Limits.model_validate(limits), datetime(2026, 1, 1, tzinfo=UTC), None)
    return key


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0.1, 30)), max_size=60), st.floats(1, 1000))
def test_a_bucket_never_gives_more_than_its_rate_and_burst(takes: list[tuple[float, float]], limit: float) -> None:
    bucket, now, taken = Bucket.per_minute(limit, 0.0), 0.0, 0.0
    largest = 0.0
    for pause, want in takes:
        now += pause
        bucket, got, wait_s = bucket.take(want, want, now)
        taken += got
        largest = max(largest, got)
        assert (got == want) != (wait_s > 0)
    assert taken <= now * limit / 60 + max(1.0, limit * BURST) + largest + 1e-6


def test_the_wait_is_long_enough_and_not_longer() -> None:
    bucket, _, _ = Bucket.per_minute(60, 0.0).take(6, 6, 0.0)
    bucket, got, wait_s = bucket.take(1, 1, 0.0)
    assert (got, wait_s) == (0.0, pytest.approx(1.0))
    assert bucket.take(1, 1, wait_s * 0.99)[1] == 0.0
    assert bucket.take(1, 1, wait_s * 1.01)[1] == 1.0


def test_what_is_larger_than_the_burst_goes_through_a_full_bucket_and_is_paid_off() -> None:
    bucket, got, _ = Bucket.per_minute(600, 0.0).take(300, 300, 0.0)
    assert got == 300
    assert bucket.take(1, 1, 20.0)[1] == 0.0
    assert bucket.take(1, 1, 25.0)[1] == 1.0


@pytest.mark.parametrize("replicas", [1, 2, 8])
@pytest.mark.parametrize("per_minute", [60, 600, 6000])
@pytest.mark.parametrize("skew", [False, True])
async def test_a_limit_of_requests_holds_over_all_replicas(replicas: int, per_minute: int, skew: bool) -> None:
    clock = Clock()
    way = Way(Ledger(clock))
    limiters = [Limiter(f"r{i}", way, clock) for i in range(replicas)]
    key = key_with(requests_per_minute=per_minute)
    draw = random.Random(1)
    admitted = []
    step_s = 60 / per_minute / 3  # three times as many requests come as may
    minutes = 4
    for tick in range(int(minutes * 60 / step_s)):
        clock.t = tick * step_s
        limiter = limiters[0 if skew and draw.random() < 0.9 else draw.randrange(replicas)]
        if (await limiter.admit(key, "requests", 1.0)).admitted:
            admitted.append(clock.t)
        if tick % max(1, int(1 / step_s)) == 0:
            for each in limiters:
                await each.return_surplus()
    for start in range(0, (minutes - 1) * 60, 10):
        in_minute = sum(start <= t < start + 60 for t in admitted)
        assert in_minute <= 1.1 * per_minute + 1
        if start >= 60:
            assert in_minute >= 0.9 * per_minute - 1
    assert way.calls <= 12 * replicas * minutes * 60, "a replica asks the ledger ten times a second at most"


async def test_a_limit_of_tokens_counts_what_was_used_in_the_end() -> None:
    clock = Clock()
    way = Way(Ledger(clock))
    limiters = [Limiter(f"r{i}", way, clock) for i in range(3)]
    key = key_with(tokens_per_minute=6000)
    draw = random.Random(2)
    used: list[tuple[float, float]] = []
    for tick in range(240 * 5):
        clock.t = tick * 0.2
        limiter = draw.choice(limiters)
        estimate, truth = 200.0, draw.choice([20.0, 100.0, 350.0])
        if (await limiter.admit(key, "tokens", estimate)).admitted:
            limiter.correct(key, "tokens", estimate - truth)
            used.append((clock.t, truth))
        if tick % 5 == 0:
            for each in limiters:
                await each.return_surplus()
    for start in (60, 120, 180):
        in_minute = sum(n for t, n in used if start <= t < start + 60)
        assert 0.9 * 6000 <= in_minute <= 1.1 * 6000


async def test_without_a_ledger_each_replica_keeps_to_its_share() -> None:
    clock = Clock()
    way = Way(Ledger(clock))
    limiters = [Limiter(f"r{i}", way, clock) for i in range(4)]
    key = key_with(requests_per_minute=600)
    for _ in range(2):
        for limiter in limiters:
            await limiter.admit(key, "requests", 1.0)
            await limiter.return_surplus()
    way.away = True
    admitted = 0
    for tick in range(60 * 40):
        clock.t = 10 + tick / 40
        for limiter in limiters:
            admitted += (await limiter.admit(key, "requests", 1.0)).admitted
    assert 0.9 * 600 <= admitted <= 1.15 * 600
    way.away = False
    clock.t += 60
    assert (await limiters[0].admit(key, "requests", 1.0)).admitted


async def test_requests_that_come_at_once_are_counted_once_each() -> None:
    clock = Clock()
    limiter = Limiter("r", Way(Ledger(clock)), clock)
    key = key_with(requests_per_minute=100)
    got = await asyncio.gather(*(limiter.admit(key, "requests", 1.0) for _ in range(50)))
    assert sum(each.admitted for each in got) == 10


async def test_keys_do_not_share_and_a_key_without_limit_asks_nobody() -> None:
    clock = Clock()
    way = Way(Ledger(clock))
    limiter = Limiter("r", way, clock)
    first, second, free = key_with(requests_per_minute=10), key_with(requests_per_minute=10), key_with()
    assert (await limiter.admit(first, "requests", 1.0)).admitted
    refused = await limiter.admit(first, "requests", 1.0)
    assert not refused.admitted
    assert refused.wait_s == pytest.approx(6.0)
    assert (await limiter.admit(second, "requests", 1.0)).admitted
    calls = way.calls
    for _ in range(100):
        assert (await limiter.admit(free, "requests", 1.0)).admitted
        assert (await limiter.admit(None, "tokens", 1e9)).admitted
    assert way.calls == calls


async def test_a_new_limit_counts_at_once() -> None:
    clock = Clock()
    limiter = Limiter("r", Way(Ledger(clock)), clock)
    key = key_with(requests_per_minute=10)
    assert (await limiter.admit(key, "requests", 1.0)).admitted
    assert not (await limiter.admit(key, "requests", 1.0)).admitted
    raised = key.model_copy(update={"limits": Limits(requests_per_minute=600)})
    assert (await limiter.admit(raised, "requests", 1.0)).admitted
