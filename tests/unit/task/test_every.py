"""What is done every few seconds."""

import threading
import time

import pytest

from serin.clients.storage.faults import ForbiddenError, NoBucketError
from serin.core.errors import StorageError
from serin.task.every import Every


def test_it_acts_again_and_again_at_once_when_woken_and_once_more_at_the_end() -> None:
    acted = threading.Semaphore(0)
    with Every(3600, lambda: acted.release(), "the log", lambda _: None) as every:
        every.wake()
        assert acted.acquire(timeout=60)
        every.wake()
        assert acted.acquire(timeout=60)
    assert acted.acquire(timeout=1)
    with Every(0.01, lambda: acted.release(), "the log", lambda _: None):
        assert all(acted.acquire(timeout=60) for _ in range(5))


def test_a_failure_is_told_once_and_its_end_too() -> None:
    said: list[str] = []
    outcomes = [StorageError("nobody answers"), StorageError("nobody answers"), None, None]
    done = threading.Event()

    def act() -> None:
        outcome = outcomes.pop(0) if outcomes else None
        if not outcomes:
            done.set()
        if outcome is not None:
            raise outcome

    with Every(0.01, act, "the log", said.append):
        assert done.wait(60)
    assert said == [
        "the log could not be stored (nobody answers); the work goes on, and it is tried again",
        "storage answers again: the log is stored",
    ]


def test_a_server_that_stalls_does_not_hold_the_pod() -> None:
    stalls = threading.Event()
    begun = time.monotonic()
    with Every(0.01, lambda: bool(stalls.wait(600)), "the log", lambda _: None, last_s=0.1):
        time.sleep(0.05)
    assert time.monotonic() - begun < 60
    stalls.set()


def test_at_the_end_it_tries_until_it_succeeds() -> None:
    outcomes = [StorageError("away"), StorageError("away"), StorageError("away"), None]

    def act() -> None:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    with Every(0.01, act, "the log", lambda _: None):
        pass
    assert outcomes == []


def test_at_the_end_it_gives_up_in_time() -> None:
    def act() -> None:
        raise StorageError("away")

    begun = time.monotonic()
    with Every(0.01, act, "the log", lambda _: None, last_s=0.2):
        pass
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("refusal", [ForbiddenError, NoBucketError])
def test_at_the_end_it_waits_for_no_storage_that_refuses(refusal: type[StorageError]) -> None:
    asked = 0

    def act() -> None:
        nonlocal asked
        asked += 1
        raise refusal("no")

    with Every(3600, act, "the log", lambda _: None, last_s=600):
        pass
    assert asked == 1
