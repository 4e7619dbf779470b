"""Which work is handed out, to whom and when; with a clock that the test turns."""

import threading
from itertools import pairwise

from serin.controller.loop.queue import WorkQueue


class Clock:
    """Monotonic seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def drained(queue: WorkQueue[str]) -> list[str]:
    found = []
    while len(queue):
        item = queue.take()
        assert item is not None
        found.append(item)
        queue.done(item)
    return found


def test_what_is_added_often_is_done_once_and_in_order() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for item in ("b", "a", "b", "c", "a"):
        queue.add(item)
    assert drained(queue) == ["b", "a", "c"]


def test_what_comes_while_it_is_worked_at_is_done_again_and_not_at_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    queue.add("b")
    assert queue.take() == "b"
    queue.done("a")
    assert queue.take() == "a"


def test_what_is_for_later_comes_then_and_the_sooner_time_counts() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    queue.add("b")
    assert queue.take() == "b"
    queue.done("b")
    clock.now = 5.0
    assert queue.take() == "a"
    queue.done("a")
    queue.close()
    assert queue.take() is None


def test_failures_wait_longer_each_time_up_to_a_minute_and_a_success_ends_that() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock(), jitter=lambda: 1.0)
    pauses = [queue.retry("a") for _ in range(12)]
    assert all(earlier <= later for earlier, later in pairwise(pauses))
    assert pauses[0] < 1
    assert pauses[-1] == 60
    queue.succeeded("a")
    assert queue.retry("a") == pauses[0]


def test_a_pause_that_the_server_asked_for_is_kept_and_spread() -> None:
    pauses = [WorkQueue[str](Clock(), jitter=lambda share=share: share).retry("a", 30) for share in (0.0, 0.5)]
    assert pauses == [30, 31.5]


def test_a_worker_that_waits_gets_what_comes_and_leaves_when_it_is_closed() -> None:
    queue: WorkQueue[str] = WorkQueue()
    taken: list[str | None] = []

    def work() -> None:
        while (item := queue.take()) is not None:
            taken.append(item)
            queue.done(item)
        taken.append(None)

    worker = threading.Thread(target=work)
    worker.start()
    queue.add_after("a", 0.05)
    while not taken:
        worker.join(0.01)
    queue.close()
    worker.join(5)
    assert taken == ["a", None]


def test_who_cannot_wait_takes_what_is_due_and_nothing_else() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    assert queue.take_now() is None
    queue.add_after("later", 5)
    queue.add("now")
    assert queue.take_now() == "now"
    queue.add("now")
    assert queue.take_now() is None
    queue.done("now")
    assert queue.take_now() == "now"
    clock.now = 5.0
    assert queue.take_now() == "later"
    queue.add("last")
    queue.close()
    assert queue.take_now() is None
