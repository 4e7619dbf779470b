"""One Lease, several candidates, and a clock that the test turns."""

import os
from collections.abc import Iterator

import pytest

from serin.clients.kubernetes import Cluster, UnavailableError, open_cluster
from serin.clients.kubernetes.kinds import LEASES
from serin.controller.loop.lease import LeaseLock, LeaseTimes

from ....cluster.standin import StandIn

TIMES = LeaseTimes(duration_s=15, give_up_s=10, renew_s=2, request_s=0.5)


class Clock:
    """Monotonic seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn(auto=False) as standin:
        yield standin


@pytest.fixture
def cluster(api: StandIn) -> Cluster:
    return open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)})


def holder(cluster: Cluster) -> str:
    lease = cluster.get(LEASES, "lock")
    assert lease is not None
    return str(lease["spec"]["holderIdentity"])


def test_the_first_one_takes_it_and_the_second_one_waits(cluster: Cluster) -> None:
    clock = Clock()
    first, second = (LeaseLock(cluster, "lock", identity, TIMES, clock) for identity in ("a", "b"))
    assert first.look()
    assert first.holds()
    assert not second.look()
    assert not second.holds()
    assert holder(cluster) == "a"


def test_a_lease_that_is_renewed_is_never_taken(cluster: Cluster) -> None:
    clock = Clock()
    first, second = (LeaseLock(cluster, "lock", identity, TIMES, clock) for identity in ("a", "b"))
    for _ in range(40):
        assert first.look()
        assert not second.look()
        clock.now += TIMES.renew_s
    assert not second.was_lost()


def test_the_holder_gives_up_before_another_one_takes_over(cluster: Cluster) -> None:
    clock = Clock()
    first, second = (LeaseLock(cluster, "lock", identity, TIMES, clock) for identity in ("a", "b"))
    first.look()
    start = clock.now
    gave_up = took_over = 0.0
    while not took_over:
        clock.now += 0.25
        if first.was_lost() and not gave_up:
            gave_up = clock.now - start
        if second.look():
            took_over = clock.now - start
    assert gave_up == TIMES.give_up_s
    assert took_over > TIMES.duration_s
    assert holder(cluster) == "b"
    assert not first.look()
    assert first.was_lost()


def test_of_two_that_take_a_free_lease_at_once_one_gets_it(cluster: Cluster) -> None:
    first, second = (LeaseLock(cluster, "lock", identity, TIMES, Clock()) for identity in ("a", "b"))
    first.look()
    first.release()
    free = cluster.get(LEASES, "lock")
    assert free is not None
    second._last = dict(free)
    assert first.look()
    assert not second.look()
    assert holder(cluster) == "a"


def test_a_released_lease_is_free_at_once(cluster: Cluster) -> None:
    clock = Clock()
    first, second = (LeaseLock(cluster, "lock", identity, TIMES, clock) for identity in ("a", "b"))
    first.look()
    assert not second.look()
    first.release()
    assert not first.holds()
    assert not first.was_lost()
    assert second.look()


def test_a_renewal_whose_answer_is_lost_is_made_good(cluster: Cluster, api: StandIn) -> None:
    clock = Clock()
    lock = LeaseLock(cluster, "lock", "a", TIMES, clock)
    lock.look()
    for sort in ("reset_after", "reset_before", "stall", "stall_after"):
        api.faults.add(sort, resource="leases")
        clock.now += 2
        with pytest.raises(UnavailableError):
            lock.look()
        assert lock.holds()
        clock.now += 2
        assert lock.look()
        assert lock.holds()


def test_renewals_that_fail_cost_the_lease_in_the_end(cluster: Cluster, api: StandIn) -> None:
    clock = Clock()
    lock = LeaseLock(cluster, "lock", "a", TIMES, clock)
    lock.look()
    api.faults.add("answer", resource="leases", times=100, code=500)
    while lock.holds():
        clock.now += 2
        with pytest.raises(UnavailableError):
            lock.look()
    assert lock.was_lost()


def test_a_quiet_holder_asks_once_for_each_renewal(cluster: Cluster, api: StandIn) -> None:
    lock = LeaseLock(cluster, "lock", "a", TIMES, Clock())
    lock.look()
    before = len(api.calls)
    for _ in range(3):
        lock.look()
    assert [call.verb for call in api.calls[before:]] == ["update"] * 3
