"""``progress.json`` in storage."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serin.clients.storage import FolderStorage
from serin.task.progress import ProgressCopy

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)


class Copy(ProgressCopy):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(FolderStorage(folder / "storage"), "stage", "pod-1", folder / "runs", lambda: NOW)

    def trained(self, **told: Any) -> None:
        (self.folder / "runs" / "key").mkdir(parents=True, exist_ok=True)
        (self.folder / "runs" / "key" / "progress.json").write_text(json.dumps(told))

    def stored(self) -> dict[str, Any]:
        self.send()
        told: dict[str, Any] = json.loads((self.folder / "storage/stage/progress.json").read_bytes())
        return told


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_stage_that_tells_nothing_itself_has_its_phase(copy: Copy) -> None:
    assert copy.stored() == {"phase": "starting", "pod": "pod-1", "updated": "2026-11-29T03:00:00+00:00"}
    copy.entered("running")
    assert copy.stored()["phase"] == "running"
    copy.entered("failed", "no room")
    assert copy.stored() | {"updated": ""} == {"phase": "failed", "message": "no room", "pod": "pod-1", "updated": ""}


def test_what_training_tells_is_passed_on_as_it_is(copy: Copy) -> None:
    copy.entered("running")
    copy.trained(phase="training", step=3, loss=0.5, updated="2026-11-29T02:59:58+00:00")
    copy.estimated(1 << 30)
    assert copy.stored() == {
        "phase": "training",
        "step": 3,
        "loss": 0.5,
        "pod": "pod-1",
        "memory_estimate_bytes": 1 << 30,
        "updated": "2026-11-29T02:59:58+00:00",
    }


def test_at_the_end_the_task_knows_better_than_the_stage(copy: Copy) -> None:
    copy.entered("running")
    copy.trained(phase="finished", step=14)
    copy.stored()
    copy.entered("failed", "storage does not take the output")
    told = copy.stored()
    assert (told["phase"], told["step"], told["message"]) == ("failed", 14, "storage does not take the output")


def test_nothing_is_sent_where_nothing_changed(copy: Copy) -> None:
    copy.entered("running")
    copy.trained(phase="training", step=3, updated="then")
    copy.stored()
    (copy.folder / "storage/stage/progress.json").unlink()
    copy.send()
    assert not (copy.folder / "storage/stage/progress.json").exists()
    copy.trained(phase="training", step=4, updated="now")
    assert copy.stored()["step"] == 4


def test_a_file_that_is_being_written_is_passed_over(copy: Copy) -> None:
    copy.entered("running")
    (copy.folder / "runs" / "key").mkdir(parents=True)
    (copy.folder / "runs" / "key" / "progress.json").write_text("{")
    assert copy.stored()["phase"] == "running"
