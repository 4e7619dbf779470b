from pathlib import Path

from serin.clients.files import read_json
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.console import Console
from serin.train.watch.progress_file import ProgressFile
from serin.train.watch.record import SideRecord
from serin.train.watch.watcher import RunInfo, Speed, Watcher
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


def test_a_watcher_that_fails_is_told_of_and_left_out_and_the_others_go_on(tmp_path: Path) -> None:
    class Broken(ProgressFile):
        def stepped(self, record: StepRecord, speed: Speed) -> None:  # noqa: ARG002 - the interface's
            raise ConnectionError("no route")

    said: list[str] = []
    good: Watcher = Console(lambda *_: None, said.append)
    watchers = Watchers([good, Broken(tmp_path / "p.json")])
    for _ in range(2):
        watchers.stepped(STEP, Speed(1.0, 1.0, 4))
    assert said == ["Broken failed (no route) and is left out from now on"]


def test_the_side_record_has_the_machine_the_speed_and_the_time_of_each_phase(tmp_path: Path) -> None:
    clock = Clock()
    record = SideRecord(tmp_path / "adapter.record.json", clock)
    record.started(RUN, History())
    for now, phase in ((10.0, "training"), (30.0, "evaluating"), (35.0, "training")):
        clock.now = now
        record.entered(phase, 3)  # type: ignore[arg-type]  # a loop over phases is a loop over str
    record.stepped(STEP, Speed(1.0, 1.0, 4))
    clock.now = 40.0
    record.ended("finished", "")
    found = read_json(tmp_path / "adapter.record.json")
    assert found["seconds"] == {"starting": 10.0, "training": 25.0, "evaluating": 5.0}
    assert found["tokens_per_s"] == 4.0
    assert found["machine"]["cores"] >= 1
    assert found["packages"]["torch"]
    assert found["peak_memory_bytes"]["host"] > 1 << 20
