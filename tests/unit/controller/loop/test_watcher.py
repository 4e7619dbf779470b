"""A cache that stays equal to the cluster, whatever becomes of lists and watches."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from serin.clients.kubernetes import open_cluster
from serin.clients.kubernetes.cluster import SLACK_S
from serin.clients.kubernetes.kinds import JOB_SETS, LEASES
from serin.controller.loop.cache import Cache
from serin.controller.loop.watcher import LONGEST_WATCH_S, Watched, Watcher

from ....cluster.standin import StandIn


def lease(name: str) -> dict[str, Any]:
    return {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": {"name": name}, "spec": {}}


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def watching(api: StandIn, watched: Watched, relist_s: float = 60.0) -> Iterator[tuple[Watcher, list[str]]]:
    cluster = open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)}, timeout_s=1.0)
    stopping = threading.Event()
    told: list[str] = []

    def changed(words: Iterable[str]) -> None:
        told.extend(words)

    watcher = Watcher(cluster, watched, Cache(lambda _: ()), changed, relist_s, stopping)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    try:
        yield watcher, told
    finally:
        stopping.set()
        api.create(lease(f"last-{time.monotonic_ns()}"))  # so that a quiet watch looks up
        thread.join(30)
        assert not thread.is_alive()
        cluster.transport.close()


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn(auto=False, without=["jobset.x-k8s.io"]) as standin:
        yield standin


def test_it_lists_once_and_then_is_told(api: StandIn) -> None:
    api.create(lease("before"))
    with watching(api, Watched(LEASES, {})) as (watcher, told):
        until(watcher.synced.is_set)
        assert watcher.cache.names() == ["before"]
        until(lambda: any(call.verb == "watch" for call in api.calls))
        api.create(lease("after"))
        until(lambda: "after" in told)
        assert [call.verb for call in api.calls].count("list") == 1


@pytest.mark.parametrize("fault", [{"sort": "end_watch"}, {"sort": "reset_before"}, {"sort": "answer", "code": 500}])
def test_a_watch_that_breaks_goes_on_where_it_was_without_another_list(api: StandIn, fault: dict[str, Any]) -> None:
    api.faults.add(**fault, verb="watch", times=2)
    with watching(api, Watched(LEASES, {})) as (watcher, told):
        until(watcher.synced.is_set)
        api.create(lease("between"))
        until(lambda: "between" in told)
        assert [call.verb for call in api.calls].count("list") == 1


@pytest.mark.parametrize("sort", ["stall", "stall_after"])
def test_a_watch_that_hangs_is_given_up_long_before_the_next_list(api: StandIn, sort: Any) -> None:
    hung = api.faults.add(sort, verb="watch")
    with watching(api, Watched(LEASES, {})) as (_, told):
        until(hung.befell.is_set)
        api.create(lease("meanwhile"))
        until(lambda: "meanwhile" in told)
        assert [call.verb for call in api.calls].count("list") == 1


def test_a_watch_that_hangs_costs_less_than_the_ten_seconds_that_a_condition_may_take() -> None:
    assert LONGEST_WATCH_S + SLACK_S <= 8


def test_what_was_forgotten_is_listed_again(api: StandIn) -> None:
    api.faults.add("reset_before", verb="watch", times=3)
    api.faults.add("forget", verb="watch")
    with watching(api, Watched(LEASES, {})) as (watcher, _):
        until(lambda: any(call.verb == "watch" for call in api.calls))
        api.create(lease("one"))
        until(lambda: [call.verb for call in api.calls].count("list") == 2)
        until(lambda: watcher.cache.names() == ["one"])


def test_everything_is_listed_again_after_a_while(api: StandIn) -> None:
    with watching(api, Watched(LEASES, {}), relist_s=1.0):
        until(lambda: [call.verb for call in api.calls].count("list") >= 3)


def test_a_kind_that_may_be_missing_counts_as_listed_and_another_one_does_not(api: StandIn) -> None:
    with watching(api, Watched(JOB_SETS, {}, optional=True)) as (watcher, _):
        until(watcher.synced.is_set)
    with watching(api, Watched(JOB_SETS, {})) as (watcher, _):
        until(lambda: [call.code for call in api.calls].count(404) >= 3)
        assert not watcher.synced.is_set()
