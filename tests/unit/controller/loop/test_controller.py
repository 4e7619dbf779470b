"""A candidate over HTTP: it watches before it leads, works off what it is told, and goes in order."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from serin.clients.kubernetes import open_cluster
from serin.clients.kubernetes.kinds import FINE_TUNES, LEASES
from serin.clients.storage import Storage
from serin.controller.loop.controller import Controller, Settings
from serin.controller.loop.metrics import Metrics
from serin.core.resources.finetune import FineTuneStatus

from ....cluster.kubelet.deposit import deposit
from ....cluster.memory import MemoryStorage
from ....cluster.standin import StandIn


class Faulty(Metrics):
    """Has a fault with the FineTune ``bad``."""

    def saw(self, name: str, uid: str, status: FineTuneStatus) -> None:
        if name == "bad":
            raise ZeroDivisionError("a fault of this code")
        super().saw(name, uid, status)


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn(auto=False) as standin:
        yield standin


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def candidate(
    api: StandIn, storage: MemoryStorage, identity: str = "one", metrics: Metrics | None = None
) -> Controller:
    cluster = open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)}, timeout_s=4.0)
    settings = Settings(identity, workers=2)
    return Controller(cluster, settings, metrics or Metrics(), lambda _: cast(Storage, storage))


@contextmanager
def at_work(controller: Controller) -> Iterator[list[int]]:
    """In the background; the exit codes with which it would have ended the process."""
    stopping, left = threading.Event(), list[int]()
    thread = threading.Thread(target=controller.run, args=(stopping, left.append))
    thread.start()
    try:
        yield left
    finally:
        stopping.set()
        thread.join(60)
        assert not thread.is_alive()


def submit(api: StandIn, storage: MemoryStorage, name: str) -> None:
    record = b'{"revision": "' + b"a" * 40 + b'"}'
    inputs = {
        "base": deposit(cast(Storage, storage), {"base.json": record}),
        "dataset": deposit(cast(Storage, storage), {"train.jsonl": b"{}"}),
    }
    run = {"stages": ["train"], "inputs": inputs, "placement": {"image": "serin:1"}}
    run["params"] = {"storage": {"url": "s3://serin/p"}}
    body: dict[str, Any] = {"apiVersion": FINE_TUNES.api_version, "kind": "FineTune", "metadata": {"name": name}}
    api.create(body | {"spec": {"run": run}})


def holder(api: StandIn) -> str:
    return str((api.get("leases", "serin-controller") or {}).get("spec", {}).get("holderIdentity", ""))


def jobs_of(api: StandIn) -> list[str]:
    return sorted(each["metadata"]["labels"]["serin.dev/finetune"] for each in api.list("jobs"))


def test_it_makes_a_job_for_each_finetune_and_lets_go_of_the_lease_when_it_is_stopped(api: StandIn) -> None:
    storage = MemoryStorage()
    submit(api, storage, "before")
    controller = candidate(api, storage)
    assert len(controller.not_ready()) == 5
    with at_work(controller) as left:
        until(lambda: jobs_of(api) == ["before"])
        submit(api, storage, "meanwhile")
        until(lambda: jobs_of(api) == ["before", "meanwhile"])
        assert controller.not_ready() == []
        assert controller.not_alive() == []
        assert holder(api) == "one"
        controller.measure()
        assert controller.metrics.registry.get_sample_value("serin_leader") == 1.0
    assert left == []
    assert holder(api) == ""


def test_one_that_waits_for_the_lease_is_ready_and_does_nothing(api: StandIn) -> None:
    storage = MemoryStorage()
    with at_work(candidate(api, storage)):
        until(lambda: holder(api) == "one")
        second = candidate(api, storage, "two")
        with at_work(second):
            until(lambda: second.not_ready() == [])
            submit(api, storage, "law")
            until(lambda: jobs_of(api) == ["law"])
            second.measure()
            assert second.metrics.registry.get_sample_value("serin_leader") == 0.0
            assert len(second.queue) >= 1
        assert holder(api) == "one"


def test_a_lease_that_another_one_took_ends_the_process(api: StandIn) -> None:
    controller = candidate(api, MemoryStorage())
    with at_work(controller) as left:
        until(lambda: holder(api) == "one")
        lease = api.get("leases", "serin-controller")
        assert lease is not None
        taken = {**lease["spec"], "holderIdentity": "another"}
        controller.lock.cluster.patch(LEASES, "serin-controller", {"spec": taken})
        until(lambda: left)
    assert left == [1]


def test_a_fault_of_this_code_with_one_finetune_stops_the_work_at_no_other(api: StandIn) -> None:
    storage = MemoryStorage()
    submit(api, storage, "bad")
    controller = candidate(api, storage, metrics=Faulty())
    with at_work(controller):
        until(lambda: controller.metrics.registry.get_sample_value("serin_reconciles_total", {"outcome": "failed"}))
        submit(api, storage, "good")
        until(lambda: "good" in jobs_of(api))
        assert controller.not_alive() == []
