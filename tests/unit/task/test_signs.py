"""Signs of life, and what the next attempt reads from them."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serin.clients.storage import FolderStorage
from serin.core.errors import StorageError
from serin.task.memory import Memory
from serin.task.signs import Signs, fell_to_memory

PREFIX = "runs/team/law-0a1b2c3d/train"
START = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)


class Pod:
    """An attempt whose clock and memory a test sets."""

    def __init__(self, storage: FolderStorage, name: str, at_s: float = 0) -> None:
        self.at_s = at_s
        self.memory: Memory | None = Memory(100, 1000, 0)
        self.storage = storage
        self.file = storage.root / PREFIX / "attempts" / name / "alive.json"
        self.signs = Signs(storage, PREFIX, name, lambda: self.memory, lambda: self.at_s, self.now)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.at_s)

    def beat(self, at_s: float, memory: Memory | None = None) -> dict[str, object]:
        self.at_s, self.memory = at_s, memory or self.memory
        self.signs.beat()
        os.utime(self.file, (self.now().timestamp(),) * 2)
        return dict(json.loads(self.file.read_bytes()))

    def end(self, code: int) -> None:
        self.signs.end(code)


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path)


def test_the_highest_use_of_memory_is_told_every_ten_seconds(storage: FolderStorage) -> None:
    pod = Pod(storage, "a")
    assert pod.beat(0)["memory_peak_bytes"] == 100
    assert pod.beat(4, Memory(700, 1000, 0))["memory_peak_bytes"] == 100
    assert pod.beat(11, Memory(300, 1000, 0))["memory_peak_bytes"] == 700
    assert pod.beat(12)["updated"] == "2026-11-29T03:00:11+00:00"


def test_memory_near_its_limit_is_told_at_once(storage: FolderStorage) -> None:
    pod = Pod(storage, "a")
    pod.beat(0)
    assert pod.beat(1, Memory(960, 1000, 0))["memory_peak_bytes"] == 960


def test_an_attempt_that_ended_without_a_word_at_its_limit_fell_to_memory(storage: FolderStorage) -> None:
    pod = Pod(storage, "a")
    pod.beat(0)
    pod.beat(1, Memory(960, 1000, 0))
    assert fell_to_memory(storage, PREFIX, "b")
    assert not fell_to_memory(storage, PREFIX, "a")  # that is itself
    pod.end(1)
    assert not fell_to_memory(storage, PREFIX, "b")


def test_one_that_was_far_from_its_limit_did_not(storage: FolderStorage) -> None:
    Pod(storage, "a").beat(0, Memory(940, 1000, 0))
    assert not fell_to_memory(storage, PREFIX, "b")


def test_one_whose_process_the_kernel_killed_says_so_itself(storage: FolderStorage) -> None:
    pod = Pod(storage, "a")
    pod.beat(0)
    pod.memory = Memory(100, 1000, 1)
    pod.end(137)
    assert pod.signs.killed_for_memory
    assert fell_to_memory(storage, PREFIX, "b")


def test_one_that_says_that_memory_ran_out_is_believed(storage: FolderStorage) -> None:
    pod = Pod(storage, "a")
    pod.beat(0)
    pod.signs.end(1, took_too_much=True)
    assert fell_to_memory(storage, PREFIX, "b")


def test_only_the_last_attempt_counts_with_the_pods_that_trained_beside_it(storage: FolderStorage) -> None:
    Pod(storage, "a").beat(0, Memory(990, 1000, 0))
    beside = Pod(storage, "b")
    beside.beat(60, Memory(100, 1000, 0))
    assert fell_to_memory(storage, PREFIX, "d")
    Pod(storage, "c").beat(600, Memory(100, 1000, 0))
    assert not fell_to_memory(storage, PREFIX, "d")


def test_without_a_limit_or_an_earlier_attempt_nothing_fell(storage: FolderStorage) -> None:
    assert not fell_to_memory(storage, PREFIX, "b")
    pod = Pod(storage, "a")
    pod.memory = None
    pod.signs = Signs(storage, PREFIX, "a", lambda: None, lambda: 0.0, pod.now)
    pod.beat(0)
    assert not fell_to_memory(storage, PREFIX, "b")


def test_storage_that_does_not_answer_is_no_reason_to_take_less() -> None:
    class Away(FolderStorage):
        def files(self, prefix: str):  # type: ignore[no-untyped-def]
            raise StorageError(f"nobody answers about {prefix}")

    assert not fell_to_memory(Away(Path("nowhere")), PREFIX, "b")
