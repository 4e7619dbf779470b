import threading
import time
from functools import partial

import pytest

from serin.clients.storage.lanes import Lanes, Task


def test_everything_is_done_when_the_block_ends() -> None:
    done: list[int] = []
    with Lanes(3) as lanes:
        for number in range(20):
            lanes.run(partial(done.append, number))
    assert sorted(done) == list(range(20))


def test_tasks_run_side_by_side_and_few_wait() -> None:
    both, given = threading.Barrier(2), 0
    with Lanes(2) as lanes:
        lanes.run(lambda: both.wait(5) and None)
        lanes.run(lambda: both.wait(5) and None)
    go = threading.Event()

    def give() -> None:
        nonlocal given
        with Lanes(2) as lanes:
            for _ in range(10):
                lanes.run(lambda: go.wait(5) and None)
                given += 1

    thread = threading.Thread(target=give)
    thread.start()
    time.sleep(0.2)
    assert given <= 3
    go.set()
    thread.join()
    assert given == 10


def run_all(lanes: Lanes, *tasks: Task) -> None:
    with lanes:
        for task in tasks:
            lanes.run(task)


def fail() -> None:
    raise KeyError("first")


def test_the_first_failure_is_raised_and_stops_the_rest() -> None:
    done: list[int] = []
    with pytest.raises(KeyError, match="first"):
        run_all(Lanes(1), fail, *[partial(done.append, number) for number in range(100)])
    assert done == []


def test_who_gives_the_tasks_may_fail_too() -> None:
    done: list[int] = []

    def give() -> None:
        with Lanes(1) as lanes:
            lanes.run(partial(time.sleep, 0.05))
            lanes.run(partial(done.append, 1))
            raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        give()
    assert done == []
    assert not any(thread.name.startswith("storage-") for thread in threading.enumerate())
