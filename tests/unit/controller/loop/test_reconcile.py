"""One look after another at one FineTune: what is written, and what is not written twice."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from serin.clients.kubernetes import Cluster, ConflictError
from serin.clients.kubernetes.kinds import FINE_TUNES, JOBS
from serin.clients.storage import Storage
from serin.controller.loop.caches import Caches
from serin.controller.loop.events import Events
from serin.controller.loop.facts import StorageFacts
from serin.controller.loop.metrics import Metrics
from serin.controller.loop.reconcile import Reconciler
from serin.core.task import Result, prefix_of, result_key

from ....cluster.direct import DirectTransport
from ....cluster.http import job
from ....cluster.kubelet.deposit import deposit
from ....cluster.memory import MemoryStorage
from ....cluster.standin import StandIn
from ....cluster.stepped import Drained


class Bench:
    """A reconciler whose caches see only what a test shows them, and storage that answers when it is asked to."""

    def __init__(self, api: StandIn, token: str = "admin") -> None:
        self.api = api
        self.storage = MemoryStorage()
        self.cluster = Cluster(cast(Any, DirectTransport(api, token)), api.namespace)
        self.caches = Caches()
        self.told: list[str] = []
        self.facts = StorageFacts(
            self.cluster,
            lambda _: cast(Storage, self.storage),
            self.told.append,
            lambda kind, job: self.caches.by_kind[kind].put(job),
        )
        self.facts._lanes = [Drained() for _ in self.facts._lanes]
        self.leads = True
        self.reconciler = Reconciler(
            self.cluster,
            self.caches,
            self.facts,
            Events(self.cluster, "c"),
            Metrics(),
            lambda: self.leads,
            api.clock.now,
        )

    def submit(self, **placement: Any) -> dict[str, Any]:
        """A FineTune that trains, whose inputs are there; the cache knows it."""
        record = b'{"revision": "' + b"a" * 40 + b'"}'
        inputs = {
            "base": deposit(cast(Storage, self.storage), {"base.json": record}),
            "dataset": deposit(cast(Storage, self.storage), {"train.jsonl": b"{}"}),
        }
        run = {
            "stages": ["train"],
            "inputs": inputs,
            "params": {"storage": {"url": "s3://serin/p"}},
            "placement": {"image": "serin:1", **placement},
        }
        body = {
            "apiVersion": FINE_TUNES.api_version,
            "kind": "FineTune",
            "metadata": {"name": "law"},
            "spec": {"run": run},
        }
        made = self.api.create(body)
        self.caches.by_kind[FINE_TUNES].put(made)
        return made

    def answer(self) -> None:
        """Let storage answer what was asked."""
        for lane in self.facts._lanes:
            self.facts._work(lane)

    def look(self) -> None:
        """One reconcile."""
        self.reconciler.reconcile("law")

    def writes(self) -> list[tuple[str, str]]:
        """What was asked of the API server that changes something, without events."""
        calls = [call for call in self.api.calls if call.verb not in ("get", "list", "watch")]
        return [(call.verb, call.resource) for call in calls if call.resource != "events"]

    def condition(self, sort: str) -> tuple[str, str, str]:
        """Status, reason and message, as the API server has them."""
        found = self.api.get("finetunes", "law") or {}
        for each in (found.get("status") or {}).get("conditions", ()):
            if each["type"] == sort:
                return each["status"], each["reason"], each["message"]
        return "", "", ""


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn(auto=False) as standin:
        yield standin


def test_a_job_is_made_once_storage_answered_and_never_twice_though_no_watch_told_of_it(api: StandIn) -> None:
    bench = Bench(api)
    bench.submit()
    bench.look()
    assert bench.writes() == []
    bench.answer()
    assert "law" in bench.told
    for _ in range(3):
        bench.look()
    assert bench.writes() == [("create", "jobs"), ("patch", "finetunes/status")]
    assert bench.condition("Accepted")[0] == "True"


def test_a_job_that_a_killed_controller_made_is_taken_over(api: StandIn) -> None:
    first = Bench(api)
    first.submit()
    first.look()
    first.answer()
    first.look()
    made = [each["metadata"]["uid"] for each in api.list("jobs")]
    second = Bench(api)
    second.storage = first.storage
    finetune = api.get("finetunes", "law")
    assert finetune is not None
    second.caches.by_kind[FINE_TUNES].put({key: value for key, value in finetune.items() if key != "status"})
    second.look()
    second.answer()
    second.look()
    assert len(made) == 1
    assert [each["metadata"]["uid"] for each in api.list("jobs")] == made
    status = (api.get("finetunes", "law") or {})["status"]
    assert status["stages"][0]["jobUid"] == made[0]


def test_what_is_done_in_storage_is_not_run_though_its_job_and_status_are_gone(api: StandIn) -> None:
    bench = Bench(api)
    finetune = bench.submit()
    metadata = finetune["metadata"]
    result = Result(stage="train", out="0" * 32 + ".dir", digest="d")
    key = result_key(prefix_of(metadata["namespace"], "law", metadata["uid"], "train"))
    bench.storage.write(key, result.model_dump_json().encode())
    for _ in range(3):
        bench.look()
        bench.answer()
    assert bench.writes() == [("patch", "finetunes/status")]
    assert (api.get("finetunes", "law") or {})["status"]["phase"] == "Succeeded"


def test_a_job_that_the_api_server_does_not_take_is_told_and_tried_again(api: StandIn) -> None:
    bench = Bench(api)
    bench.submit()
    bench.look()
    bench.answer()
    api.faults.add("answer", verb="create", resource="jobs", code=403)
    api.access.rules["admin"] = _all_but_jobs()
    bench.look()
    status, reason, message = bench.condition("Running")
    assert (status, reason) == ("False", "JobRefused")
    assert "403" in message
    assert "quota" in message
    again_s = bench.reconciler.reconcile("law")
    assert again_s is not None
    assert again_s <= 60
    api.access.rules["admin"] = None
    bench.look()
    assert len(api.list("jobs")) == 1
    assert bench.condition("Running")[1] != "JobRefused"


def _all_but_jobs() -> list[dict[str, Any]]:
    verbs = ["get", "list", "create", "patch"]
    return [
        {"apiGroups": ["serin.dev"], "resources": ["finetunes", "finetunes/status"], "verbs": verbs},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": verbs},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]},
    ]


def test_without_the_lease_nothing_is_written(api: StandIn) -> None:
    bench = Bench(api)
    bench.submit()
    bench.look()
    bench.answer()
    bench.leads = False
    with pytest.raises(ConflictError, match="lease"):
        bench.look()
    assert bench.writes() == []


def test_a_name_that_another_job_has_is_told(api: StandIn) -> None:
    bench = Bench(api)
    finetune = bench.submit()
    bench.look()
    bench.answer()
    name = f"law-train-{finetune['metadata']['uid'][:8]}"
    api.create(job(name))
    bench.look()
    bench.look()
    assert bench.condition("Failed")[:2] == ("True", "NameTaken")
    assert len(api.list("jobs")) == 1


def test_a_finetune_that_is_gone_is_forgotten(api: StandIn) -> None:
    bench = Bench(api)
    finetune = bench.submit()
    bench.look()
    bench.caches.by_kind[FINE_TUNES].remove(finetune)
    bench.look()
    bench.answer()
    bench.look()
    assert bench.writes() == []
    assert bench.caches.children(JOBS, "law") == []
