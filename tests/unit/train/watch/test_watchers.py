import errno
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serin.clients.files import read_json
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.console import Console
from serin.train.watch.progress_file import ProgressFile
from serin.train.watch.record import SideRecord, commit
from serin.train.watch.watcher import Phase, RunInfo, Speed, Watcher
from serin.train.watch.watchers import Watchers

RUN = RunInfo("d" * 64, 2, 3, 10, {})
STEP = StepRecord(4, 0.5, 1.5, 1e-3, 0.7, 100, 60)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_progress_file_says_where_the_run_stands(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "progress.json"
    progress = ProgressFile(path, clock)
    progress.started(RUN, History([], [ValidationRecord(3, 0.4, 2.0, 9)]))
    assert read_json(path)["phase"] == "starting"
    assert read_json(path)["best_validation_loss"] == 2.0
    clock.now = 2.0
    progress.entered("training", 3)
    clock.now = 4.0
    progress.stepped(STEP, Speed(512.34, 61.26, 4))
    found = read_json(path)
    assert (found["run"], found["attempt"], found["step"], found["steps"]) == ("d" * 64, 2, 4, 10)
    assert (found["loss"], found["tokens_per_s"], found["seconds_left"]) == (1.5, 512.3, 61.3)
    progress.validated(ValidationRecord(4, 0.5, 1.75, 9), best=True)
    assert read_json(path)["best_validation_loss"] == 1.75
    progress.ended("preempted", "stopped at step 4")
    assert (read_json(path)["phase"], read_json(path)["message"]) == ("preempted", "stopped at step 4")


def test_the_progress_file_is_not_written_at_every_step(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "progress.json"
    progress = ProgressFile(path, clock)
    progress.entered("training", 0)
    path.unlink()
    clock.now = 0.5
    progress.stepped(STEP, Speed(1.0, 1.0, 4))
    assert not path.exists()
    clock.now = 1.5
    progress.stepped(STEP, Speed(1.0, 1.0, 4))
    assert path.exists()


def test_the_console_shows_loss_speed_and_what_was_noted() -> None:
    shown: list[tuple[int, int | None, str]] = []
    said: list[str] = []
    console = Console(lambda done, total, note="": shown.append((done, total, note)), said.append)
    console.started(RUN, History())
    console.validated(ValidationRecord(3, 0.4, 2.0, 9), best=True)
    console.stepped(STEP, Speed(2048.0, 61.0, 4))
    console.noted("memory ran out")
    assert shown == [(3, 10, ""), (4, 10, "loss 1.500 (validation 2.000), 2,048 tokens/s")]
    assert said == ["going on from step 3 of 10 (attempt 2)", "memory ran out"]


class Broken(ProgressFile):
    """Fails at each step and at each note."""

    def stepped(self, record: StepRecord, speed: Speed) -> None:  # noqa: ARG002 - the interface's
        raise ConnectionError("no route")

    def noted(self, message: str) -> None:  # noqa: ARG002 - the interface's
        raise ConnectionError("no route")


class BrokenToo(Broken):
    pass


def test_watchers_that_fail_are_told_of_and_left_out_and_the_others_go_on(tmp_path: Path) -> None:
    said: list[str] = []
    good: Watcher = Console(lambda *_: None, said.append)
    watchers = Watchers([Broken(tmp_path / "a"), good, BrokenToo(tmp_path / "b")])
    for _ in range(2):
        watchers.stepped(STEP, Speed(1.0, 1.0, 4))
    assert said == [f"{name} failed (no route) and is left out from now on" for name in ("Broken", "BrokenToo")]


def test_one_that_fails_when_told_of_another_is_left_out_too(tmp_path: Path) -> None:
    class Deaf(Broken):
        def stepped(self, record: StepRecord, speed: Speed) -> None:
            """Well."""

    said: list[str] = []
    watchers = Watchers([Broken(tmp_path / "a"), Deaf(tmp_path / "b"), Console(lambda *_: None, said.append)])
    watchers.stepped(STEP, Speed(1.0, 1.0, 4))
    assert said == [f"{name} failed (no route) and is left out from now on" for name in ("Broken", "Deaf")]


def test_why_a_run_ended_stays_in_the_progress_file(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    watchers = Watchers([ProgressFile(path, now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))])
    watchers.started(RUN, History())
    watchers.ended("failed", "training diverged")
    watchers.noted("a tracker has not taken the last figures")
    assert read_json(path)["message"] == "training diverged"
    assert read_json(path)["updated"] == "2026-01-02T03:04:05+00:00"


def test_a_full_disk_costs_the_progress_file_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: object) -> None:  # noqa: ARG001 - of what it stands for
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "progress.json"
    watchers = Watchers([ProgressFile(path)])
    with monkeypatch.context() as disk:
        disk.setattr("serin.train.watch.progress_file.write_json", full)
        watchers.entered("training", 1)
    watchers.entered("saving", 2)
    assert (read_json(path)["phase"], read_json(path)["step"]) == ("saving", 2)


def record_of(path: Path, clock: Clock, run: RunInfo) -> SideRecord:
    record = SideRecord(path, clock)
    record.started(run, History())
    return record


def test_the_side_record_has_the_machine_the_speed_and_the_time_of_each_phase(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "adapter.record.json"
    record = record_of(path, clock, RUN)
    phases: tuple[tuple[float, Phase], ...] = ((10.0, "training"), (30.0, "evaluating"), (35.0, "training"))
    for now, phase in phases:
        clock.now = now
        record.entered(phase, 3)
    record.stepped(STEP, Speed(1.0, 1.0, 4))
    clock.now = 40.0
    record.ended("finished", "")
    (found,) = read_json(path)["attempts"]
    assert read_json(path)["run"] == RUN.key
    assert found["seconds"] == {"starting": 10.0, "training": 25.0, "evaluating": 5.0}
    assert found["tokens_per_s"] == 4.0
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["memory_bytes"] > 1 << 28
    assert found["packages"]["torch"]
    assert found["peak_memory_bytes"]["host"] > 1 << 20


def test_the_side_record_keeps_all_attempts_at_one_run_also_those_that_were_killed(tmp_path: Path) -> None:
    path = tmp_path / "adapter.record.json"
    record_of(path, Clock(), RUN)  # killed
    record_of(path, Clock(), replace(RUN, attempt=3)).ended("finished", "")
    assert [(a["attempt"], a.get("ended")) for a in read_json(path)["attempts"]] == [(2, None), (3, "finished")]
    SideRecord(path).ended("failed", "the dataset is missing")
    assert len(read_json(path)["attempts"]) == 2
    record_of(path, Clock(), replace(RUN, key="e" * 64, attempt=1))
    assert [a["attempt"] for a in read_json(path)["attempts"]] == [1]


def test_the_side_record_names_the_commit_and_whether_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() is None
    as_somebody = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for arguments in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "one"), ("tag", "-a", "v1", "-m", "v1")):
        subprocess.run(["git", *as_somebody, *arguments], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert commit() == head
    (tmp_path / "new").write_text("")
    subprocess.run(["git", "add", "new"], check=True)
    assert commit() == f"{head}+"
