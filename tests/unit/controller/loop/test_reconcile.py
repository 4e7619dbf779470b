"""One look after another at one FineTune: what is written, and what is not written twice."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, cast

import pytest

from serin.clients.kubernetes import Cluster, ConflictError
from serin.clients.kubernetes.events import Events
from serin.clients.kubernetes.kinds import FINE_TUNES, JOBS
from serin.clients.kubernetes.transport import Request
from serin.clients.storage import Storage, Version
from serin.controller.loop.caches import Caches
from serin.controller.loop.metrics import Metrics
from serin.controller.loop.reconcile import Reconciler
from serin.controller.loop.storage_facts import StorageFacts
from serin.controller.objects import finish_of
from serin.core.errors import StorageError
from serin.core.task import Result, Stage, prefix_of, result_key

from ....cluster.direct import DirectTransport
from ....cluster.http import job
from ....cluster.kubelet.deposit import deposit
from ....cluster.memory import MemoryStorage
from ....cluster.standin import Exit, StandIn


class Recorded(DirectTransport):
    """Keeps every request."""

    def __init__(self, api: StandIn, token: str) -> None:
        super().__init__(api, token)
        self.requests: list[Request] = []

    def ask(self, request: Request, timeout_s: float | None = None) -> Any:
        self.requests.append(request)
        return super().ask(request, timeout_s)


class MoodyStorage(MemoryStorage):
    """Storage that answers unless it is told not to."""

    silent = False

    def read_versioned(self, key: str) -> tuple[bytes, Version] | tuple[None, None]:
        if self.silent:
            raise StorageError("s3://serin does not answer; try again later")
        return super().read_versioned(key)


class Bench:
    """A reconciler whose caches see only what a test shows them, and storage that answers when it is asked to."""

    def __init__(self, api: StandIn, token: str = "admin") -> None:
        self.api = api
        self.storage = MoodyStorage()
        self.transport = Recorded(api, token)
        self.cluster = Cluster(cast(Any, self.transport), api.namespace)
        self.caches = Caches()
        self.told: list[str] = []
        self.facts = StorageFacts(
            self.cluster,
            lambda _: cast(Storage, self.storage),
            self.told.append,
            lambda kind, job: self.caches.by_kind[kind].put(job),
            self.seconds,
        )
        self.leads = True
        self.reconciler = Reconciler(
            self.cluster,
            self.caches,
            self.facts,
            Events(self.cluster, "c"),
            Metrics(),
            lambda: self.leads,
            api.clock.now,
            self.seconds,
        )

    def seconds(self) -> float:
        """The cluster's clock is the controller's."""
        return self.api.clock.now().timestamp()

    def submit(self, stages: Sequence[Stage] = ("train",), **placement: Any) -> dict[str, Any]:
        """A FineTune whose inputs are there; the cache knows it."""
        record = b'{"revision": "' + b"a" * 40 + b'"}'
        inputs = {
            "base": deposit(cast(Storage, self.storage), {"base.json": record}),
            "dataset": deposit(cast(Storage, self.storage), {"train.jsonl": b"{}"}),
        }
        run = {
            "stages": list(stages),
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
        self.facts.answer_now()

    def look(self) -> None:
        """One reconcile."""
        self.reconciler.reconcile("law")

    def leave_result(self, finetune: dict[str, Any], stage: Stage) -> None:
        """The stage is done, as storage has it."""
        metadata = finetune["metadata"]
        key = result_key(prefix_of(metadata["namespace"], metadata["name"], metadata["uid"], stage))
        self.storage.write(key, Result(stage=stage, out="0" * 32 + ".dir", digest="d").model_dump_json().encode())

    def later(self, seconds: float) -> None:
        """Some time goes by, and everybody looks again."""
        self.api.clock.advance(seconds)
        self.answer()
        self.look()

    def events(self) -> list[str]:
        """Reasons of the events that were told."""
        told = [each.body for each in self.transport.requests if (each.verb, each.plural) == ("create", "events")]
        return [str(body["reason"]) for body in told if body]

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
    assert bench.events() == ["JobCreated"]


def test_the_api_server_is_to_refuse_a_rule_of_a_job_that_it_does_not_know(api: StandIn) -> None:
    bench = Bench(api)
    bench.submit()
    bench.look()
    bench.answer()
    bench.look()
    (create,) = [each for each in bench.transport.requests if (each.verb, each.plural) == ("create", "jobs")]
    assert create.query == {"fieldValidation": "Strict"}


def test_what_the_last_pod_said_is_told_and_counted_though_the_watch_of_pods_lags_behind_the_jobs() -> None:
    storage = MoodyStorage()
    with StandIn(auto=False, served=False, storage_of=lambda _: cast(Storage, storage)) as api:
        bench = Bench(api)
        bench.storage = storage
        api.pods.script(Exit(code=1, message="the loss is not a number"), stage="train")
        bench.submit(retries=1)
        bench.look()
        bench.answer()
        bench.look()
        while not finish_of(job := api.list("jobs")[0]):
            api.step()
            api.clock.advance(1.0)
        bench.caches.by_kind[JOBS].put(job)
        bench.look()
        bench.answer()
        bench.look()
        status, _, message = bench.condition("Failed")
        found = (api.get("finetunes", "law") or {})["status"]
    assert (status, "the loss is not a number" in message) == ("True", True)
    assert found["exitCode"] == 1
    assert [attempt["exitCode"] for attempt in found["stages"][0]["attempts"]] == [1, 1]


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
    bench.leave_result(finetune, "train")
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
    api.access.rules["admin"] = _all_but_jobs()
    bench.look()
    status, reason, message = bench.condition("Running")
    assert (status, reason) == ("False", "JobRefused")
    assert "403" in message
    assert "quota" in message
    assert "at last every 5 minutes" in message
    again_s = bench.reconciler.reconcile("law")
    assert again_s is not None
    assert 0 < again_s <= 10
    api.access.rules["admin"] = None
    bench.look()
    assert api.list("jobs") == []
    bench.later(10)
    assert len(api.list("jobs")) == 1
    assert bench.condition("Running")[1] != "JobRefused"


def test_a_job_that_is_refused_for_long_is_tried_ever_more_seldom_and_goes_on_within_five_minutes(api: StandIn) -> None:
    bench = Bench(api)
    bench.submit()
    bench.look()
    bench.answer()
    api.access.rules["admin"] = _all_but_jobs()
    bench.look()
    tried = [bench.seconds()]
    for _ in range(720):
        bench.later(5)
        if bench.writes().count(("create", "jobs")) > len(tried):
            tried.append(bench.seconds())
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert 280 <= max(waits) <= 310
    assert len(tried) <= 18
    assert bench.writes().count(("patch", "finetunes/status")) == 1
    assert bench.reconciler.metrics.registry.get_sample_value("serin_jobs_refused_total", {"stage": "train"}) == len(
        tried
    )
    api.access.rules["admin"] = None
    bench.later(300)
    assert len(api.list("jobs")) == 1


def test_a_cluster_without_jobset_is_named_as_what_is_missing() -> None:
    with StandIn(auto=False, without=["jobset.x-k8s.io"]) as api:
        bench = Bench(api)
        bench.submit(nodes=2)
        bench.look()
        bench.answer()
        bench.look()
        assert bench.condition("Running")[:2] == ("False", "JobSetMissing")
        assert "install 0.10 or newer" in bench.condition("Running")[2]


def test_a_storage_that_falls_silent_between_two_stages_is_told_and_no_job_is_made_before_it_answers(
    api: StandIn,
) -> None:
    bench = Bench(api)
    finetune = bench.submit(["train", "merge"])
    bench.leave_result(finetune, "train")
    bench.look()
    bench.answer()
    bench.storage.silent = True
    bench.look()
    bench.answer()
    bench.look()
    assert bench.condition("StorageUnreachable") == ("", "", "")  # one request that is lost is no news
    for _ in range(5):
        bench.later(2)
    assert bench.condition("StorageUnreachable")[:2] == ("True", "NoAnswer")
    assert "s3://serin does not answer" in bench.condition("StorageUnreachable")[2]
    assert bench.condition("Running")[:2] == ("False", "NoAnswer")
    assert api.list("jobs") == []
    told = bench.writes()
    for _ in range(5):
        bench.later(60)
    assert bench.writes() == told
    bench.storage.silent = False
    bench.later(60)
    bench.look()
    assert bench.condition("StorageUnreachable")[:2] == ("False", "Answers")
    assert [each["metadata"]["labels"]["serin.dev/stage"] for each in api.list("jobs")] == ["merge"]
    assert sorted(bench.events()) == ["Answers", "JobCreated", "NoAnswer", "StageDone"]


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
