"""A log of steps as a process that starts anew reads it: whole, in order, and not one after the other."""

import threading
from pathlib import Path

from serin.clients.storage import FolderStorage, Version
from serin.rollout.evidence import Closed
from serin.rollout.state import new_rollout
from serin.rollout.store import RolloutStore, Step

from .traffic import CANARY, PARAMS, STABLE

STATE = new_rollout("r", STABLE, CANARY, "salt", PARAMS, 0.0)


class Meeting(FolderStorage):
    """Answers a read of one of the first eight steps once several are asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.together = threading.Barrier(8)

    def read_versioned(self, key: str) -> tuple[bytes, Version] | tuple[None, None]:
        if "/0000000" in key and int(key[-14:-6]) < 8:
            self.together.wait(60)
        return super().read_versioned(key)


def written(storage: FolderStorage, count: int) -> None:
    store = RolloutStore(storage, "r")
    for number in range(count):
        counted = [Closed(f"unit-{number}", "stable", 0.1, 1.0, number, {"error": 0})]
        assert store.append(Step(number=number, t=float(number), action="count", state=STATE), counted)


def test_a_whole_log_is_read_side_by_side_in_order_and_goes_on_behind_it(tmp_path: Path) -> None:
    written(FolderStorage(tmp_path), 150)
    steps = RolloutStore(Meeting(tmp_path), "r").steps()
    found = [next(steps) for _ in range(150)]
    late = RolloutStore(FolderStorage(tmp_path), "r")
    assert late.append(Step(number=150, t=150.0, action="pause", state=STATE))  # while it was read
    found += steps
    assert [step.number for step, _ in found] == list(range(151))
    assert [units[0].unit for _, units in found[:150]] == [f"unit-{number}" for number in range(150)]
    assert [step.number for step, _ in late.steps(149)] == [149, 150]
    assert list(RolloutStore(FolderStorage(tmp_path), "another").steps()) == []
