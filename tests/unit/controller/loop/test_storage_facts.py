"""Questions to storage: asked once, remembered while they matter, and told where there is no answer."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from serin.clients.kubernetes import Cluster, Kind, Object
from serin.clients.kubernetes.kinds import JOBS
from serin.clients.storage import Storage
from serin.controller.loop.facts import NO_JOB, Facts, Subject
from serin.controller.loop.storage_facts import PATIENCE_S, SILENCE_S, StorageFacts
from serin.core.params import StorageParams
from serin.core.resources.finetune import Run
from serin.core.task import Result, prefix_of, progress_key, result_key

from ....cluster.direct import DirectTransport
from ....cluster.http import job
from ....cluster.memory import Moody
from ....cluster.standin import StandIn
from ..manifests import HASH, IMAGE

SUBJECT = Subject("law", "12345678-aaaa", StorageParams(url="s3://serin/p"))
RUN = Run.model_validate(
    {
        "inputs": {"base": HASH, "dataset": HASH},
        "params": {"storage": {"url": "s3://serin/p"}},
        "placement": {"image": IMAGE},
    }
)


class Bench:
    """Facts without threads, on a clock that is put forward by hand."""

    def __init__(self, api: StandIn) -> None:
        self.api = api
        self.now = 0.0
        self.storage = Moody()
        self.opened: list[StorageParams] = []
        self.told: list[str] = []
        self.found: list[Object] = []
        cluster = Cluster(cast(Any, DirectTransport(api)), api.namespace)
        self.facts = StorageFacts(cluster, self.open, self.told.append, self.hear, lambda: self.now)

    def open(self, params: StorageParams) -> Storage:
        self.opened.append(params)
        return cast(Storage, self.storage)

    def hear(self, kind: Kind, found: Object) -> None:
        assert kind is JOBS
        self.found.append(found)

    def prefix(self) -> str:
        return prefix_of(self.api.namespace, SUBJECT.name, SUBJECT.uid, "train")

    def later(self, seconds: float) -> Facts:
        """What is known after some time, in which questions were put whenever they were due."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            self.facts.answer_now()
        return self.facts.of(SUBJECT)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with StandIn(auto=False, served=False) as api:
        yield Bench(api)


def test_the_check_is_made_once_and_brings_the_next_answer_along(bench: Bench) -> None:
    assert not bench.facts.check(SUBJECT, RUN)
    assert not bench.facts.check(SUBJECT, RUN)
    facts = bench.later(0.5)
    assert [fault.reason for fault in facts.faults or ()] == ["BaseMissing", "DatasetMissing"]
    assert bench.facts.check(SUBJECT, RUN)
    assert bench.told == ["law"]
    assert [each.timeout_s for each in bench.opened] == [5.0]


def test_a_check_that_takes_long_is_to_be_told(bench: Bench) -> None:
    assert not bench.facts.check(SUBJECT, RUN)
    bench.now += PATIENCE_S + 1
    assert bench.facts.check(SUBJECT, RUN)


def test_a_result_is_looked_for_once_for_each_occasion(bench: Bench) -> None:
    assert not bench.facts.ask_result(SUBJECT, "train", NO_JOB)
    bench.later(0.5)
    assert bench.facts.ask_result(SUBJECT, "train", NO_JOB)
    assert bench.storage.asked == 1
    assert not bench.facts.ask_result(SUBJECT, "train", "job-1/complete")
    result = Result(stage="train", out="0" * 32 + ".dir", digest="d")
    bench.storage.write(result_key(bench.prefix()), result.model_dump_json().encode())
    assert bench.later(0.5).results == {"train": result}


def test_a_result_that_may_come_late_is_looked_for_again_in_a_while(bench: Bench) -> None:
    bench.facts.ask_result_again(SUBJECT, "train", "job-1/complete")
    assert bench.later(5).absent == {}
    assert bench.later(10).absent == {"train": "job-1/complete"}


def test_one_answer_that_is_lost_is_no_news_and_a_silence_is_told_and_taken_back(bench: Bench) -> None:
    bench.storage.silent = True
    bench.facts.ask_result(SUBJECT, "train", NO_JOB)
    assert bench.later(SILENCE_S / 2).silence is None
    assert bench.told == []
    assert bench.later(10).silence == "timed out"
    assert bench.told == ["law"]
    bench.storage.silent = False
    facts = bench.later(60)
    assert facts.silence == ""
    assert facts.absent == {"train": NO_JOB}
    assert bench.told == ["law", "law"]


def test_a_silence_that_ended_is_counted_from_its_start_the_next_time(bench: Bench) -> None:
    for _ in range(3):
        bench.storage.silent = True
        bench.facts.ask_result(SUBJECT, "train", f"job-{bench.now}/complete")
        assert not bench.later(1).silence
        bench.storage.silent = False
        assert bench.later(10).silence == ""


def test_progress_is_read_as_long_as_it_is_followed(bench: Bench) -> None:
    bench.storage.write(progress_key(bench.prefix()), b'{"step": 1}')
    bench.facts.follow(SUBJECT, "train")
    assert bench.later(1).progress == {"step": 1}
    bench.storage.write(progress_key(bench.prefix()), b'{"step": 2}')
    assert bench.later(6).progress == {"step": 2}
    bench.storage.write(progress_key(bench.prefix()), b"[1]")
    assert bench.later(6).progress == {"step": 2}
    bench.facts.follow(SUBJECT, None)
    asked = bench.storage.asked
    bench.later(60)
    assert bench.storage.asked == asked


def test_a_job_counts_as_gone_only_where_neither_the_api_server_nor_storage_knows_of_it(bench: Bench) -> None:
    bench.api.create(job("law-train"))
    bench.facts.confirm_gone(SUBJECT, "train", JOBS, "law-train")
    assert bench.later(0.5).gone == frozenset()
    assert [each["metadata"]["name"] for each in bench.found] == ["law-train"]
    bench.facts.confirm_gone(SUBJECT, "train", JOBS, "law-train-2")
    assert bench.later(0.5).gone == {"train"}
    bench.facts.is_back(SUBJECT, "train")
    assert bench.facts.of(SUBJECT).gone == frozenset()


def test_what_is_over_is_not_asked_about_any_more_and_leaves_nothing_behind(bench: Bench) -> None:
    bench.storage.silent = True
    bench.facts.follow(SUBJECT, "train")
    bench.facts.ask_result(SUBJECT, "train", NO_JOB)
    bench.later(20)
    bench.facts.forget("law")
    asked = bench.storage.asked
    bench.told.clear()
    bench.later(120)
    assert bench.storage.asked == asked
    assert bench.facts.of(SUBJECT) == Facts()
    assert bench.told == []


def test_a_fault_of_its_own_with_one_run_does_not_end_the_questions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.storage, "read_versioned", lambda _: 1 / 0)
    bench.facts.ask_result(SUBJECT, "train", NO_JOB)
    bench.facts.answer_now()
    monkeypatch.undo()
    assert bench.later(10).absent == {"train": NO_JOB}
