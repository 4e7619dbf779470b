"""Each tracker for real: its own files, or what its server was sent, after a run that was twice interrupted."""

import csv
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from serin.core.errors import ConfigError, StorageError
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.sinks import MlflowSink, Point, Sink
from serin.train.watch.trackers import Tracker, trackers
from serin.train.watch.watcher import Ending, RunInfo, Speed

from .wandb_server import wandb_server

KEY = "c" * 64
PARAMS: dict[str, object] = {"learning_rate": 0.5, "lora": {"r": 4}}
SPEED = Speed(100.0, 9.0, 4)
LOSSES = [(number, 5.0 - number) for number in range(1, 7)]
VALIDATION = ValidationRecord(4, 1.0, 1.25, 20)


def step(number: int) -> StepRecord:
    return StepRecord(number, number / 3, 5.0 - number, 1e-3, 0.5, 40, 20)


def attempt(name: str, folder: Path, number: int) -> None:
    """One of three attempts: steps 1 to 4, ended by SIGTERM in the evaluation of step 4; its evaluation and step 5, which is
    lost; the evaluation again, and steps 5 and 6.
    """
    (tracker,) = trackers([name], folder)
    behind = [] if number == 1 else [step(n) for n in (1, 2, 3, 4)]
    tracker.started(RunInfo(KEY, number, len(behind), 6, PARAMS), History(behind))
    if number > 1:
        tracker.validated(VALIDATION, best=True)
    for done in {1: (1, 2, 3, 4), 2: (5,), 3: (5, 6)}[number]:
        tracker.stepped(step(done), SPEED)
    endings: dict[int, Ending] = {1: "preempted", 2: "failed", 3: "finished"}
    tracker.ended(endings[number], "")


def all_attempts(name: str, folder: Path) -> None:
    for number in (1, 2, 3):
        attempt(name, folder, number)


def python(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, since W&B and MLflow read the environment once; it has no credentials, and is no test to them."""
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**kept, "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_dvclive_has_every_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    all_attempts("dvclive", tmp_path / "t")
    with (tmp_path / "t" / "dvclive" / "plots" / "metrics" / "loss.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(int(row["step"]), float(row["loss"])) for row in rows] == LOSSES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t"]


def test_tensorboard_has_every_step_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    attempt("tensorboard", tmp_path, 1)
    events: Any = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == LOSSES[:4]
    attempt("tensorboard", tmp_path, 2)
    attempt("tensorboard", tmp_path, 3)
    # What watched all the while, and what comes anew, see the same.
    events.Reload()
    again: Any = EventAccumulator(str(tmp_path / "tensorboard"))
    again.Reload()
    for seen in (events, again):
        assert [(e.step, e.value) for e in seen.Scalars("loss")] == LOSSES
        assert [(e.step, e.value) for e in seen.Scalars("validation_loss")] == [(4, 1.25)]


def test_mlflow_finds_the_run_by_its_key_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    from mlflow.tracking import MlflowClient

    client = MlflowClient()

    def the_run() -> Any:
        (run,) = client.search_runs([client.get_experiment_by_name("serin").experiment_id])
        return run

    attempt("mlflow", tmp_path, 1)
    assert the_run().info.status == "KILLED"
    MlflowSink(RunInfo(KEY, 2, 4, 6, PARAMS), tmp_path)
    assert the_run().info.status == "RUNNING"
    attempt("mlflow", tmp_path, 2)
    assert the_run().info.status == "FAILED"
    attempt("mlflow", tmp_path, 3)
    assert the_run().info.status == "FINISHED"
    assert the_run().data.tags["serin.run"] == KEY
    assert the_run().data.params == {"learning_rate": "0.5", "lora.r": "4"}
    for metric, points in (("loss", LOSSES), ("validation_loss", [(4, 1.25)])):
        history = client.get_metric_history(the_run().info.run_id, metric)
        assert [(point.step, point.value) for point in history] == points


def test_mlflow_without_a_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set MLFLOW_TRACKING_URI"):
        trackers(["mlflow"], tmp_path, {})


def test_an_mlflow_server_that_is_down_holds_up_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the port of "discard": nobody listens there
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    trackers(["mlflow"], tmp_path)
    tracker = Tracker("mlflow", lambda run: MlflowSink(run, tmp_path), {"finished": 30.0})
    began = time.monotonic()
    tracker.started(RunInfo(KEY, 1, 0, 6, PARAMS), History())
    for number in range(1, 7):
        tracker.stepped(step(number), SPEED)
    assert time.monotonic() - began < 1.0
    with pytest.raises(StorageError, match=r"mlflow: .*Max retries exceeded"):
        tracker.ended("finished", "")


def wandb_attempt(folder: Path, number: int, **variables: str) -> None:
    code = (
        f"import sys; from pathlib import Path; sys.path.insert(0, {str(Path(__file__).parents[4])!r})\n"
        "from tests.unit.train.watch.test_trackers import attempt\n"
        f"attempt('wandb', Path({str(folder)!r}), {number})"
    )
    done = python(code, folder, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_wandb_goes_on_with_the_run_and_doubles_nothing(tmp_path: Path) -> None:
    with wandb_server() as server:
        for number in (1, 2, 3):
            wandb_attempt(tmp_path, number, WANDB_BASE_URL=server.url, WANDB_API_KEY="k" * 40)
            assert server.preempting
    assert server.name == KEY[:32]
    assert server.exits == [1, 1, 0]
    assert [(row["step"], row["loss"]) for row in server.rows if "loss" in row] == LOSSES
    assert [(row["step"], row["validation_loss"]) for row in server.rows if "validation_loss" in row] == [(4, 1.25)]
    assert '"learning_rate"' in server.config


def test_a_wandb_server_that_is_down_holds_up_neither_a_step_nor_the_end(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from serin.core.errors import StorageError\n"
        "from serin.train.history import History; from serin.train.watch.sinks import WandbSink\n"
        "from serin.train.watch.trackers import trackers; from serin.train.watch.watcher import RunInfo\n"
        "WandbSink.MOST_TO_OPEN_S = 2.0\n"
        "(tracker,) = trackers(['wandb'], Path()); tracker.patience_s = {'preempted': 1.0}\n"
        f"tracker.started(RunInfo({KEY!r}, 1, 0, 6, {{}}), History())\n"
        "try: tracker.ended('preempted', '')\n"
        "except StorageError as error: print(error)"
    )
    began = time.monotonic()
    done = python(code, tmp_path, WANDB_BASE_URL="http://127.0.0.1:9", WANDB_API_KEY="k" * 40)
    assert (done.returncode, done.stdout) == (0, "wandb has not taken the last figures within 1 s\n")
    assert time.monotonic() - began < 30.0


def test_wandb_writes_offline_into_the_runs_folder_or_where_it_is_told_to(tmp_path: Path) -> None:
    wandb_attempt(tmp_path, 1, WANDB_MODE="offline")
    wandb_attempt(tmp_path, 1, WANDB_MODE="offline", WANDB_DIR=str(tmp_path))
    for folder in (tmp_path / "wandb" / "wandb", tmp_path / "wandb"):
        (run,) = folder.glob(f"offline-run-*-{KEY[:32]}")
        assert list(run.glob("*.wandb"))


def test_wandb_without_a_key_is_refused_and_asks_for_none(tmp_path: Path) -> None:
    code = "from pathlib import Path; from serin.train.watch.trackers import trackers; trackers(['wandb'], Path())"
    done = python(code, tmp_path)
    assert done.returncode == 1
    assert "ConfigError: runs.trackers: wandb has no API key: run 'wandb login'" in done.stderr


def test_what_is_not_named_is_not_imported_and_what_is_reports_to_nobody(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from serin.train.watch.trackers import trackers\n"
        "trackers(['tensorboard'], Path())\n"
        "assert not {'wandb', 'mlflow', 'dvclive'} & set(sys.modules)\n"
        "trackers(['mlflow', 'wandb'], Path())\n"
        "from mlflow.telemetry import get_telemetry_client; from wandb.env import error_reporting_enabled\n"
        "assert get_telemetry_client() is None and not error_reporting_enabled()"
    )
    done = python(code, tmp_path, MLFLOW_TRACKING_URI="http://127.0.0.1:9", WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr


def test_one_that_is_not_installed_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dvclive.live", None)
    with pytest.raises(ConfigError, match=r"dvclive is not installed .* pip install 'serin\[tracking\]'"):
        trackers(["dvclive"], tmp_path)


class SlowSink(Sink):
    """Takes nothing before it is let."""

    def __init__(self, may_take: threading.Event, broken: bool = False) -> None:
        self.last_steps = {}
        self.may_take = may_take
        self.broken = broken
        self.taken: list[Point] = []
        self.closed = False

    def log(self, points: Sequence[Point]) -> None:
        assert self.may_take.wait(30)
        if self.broken:
            raise ConnectionError("no route")
        self.taken += points

    def close(self, how: Ending) -> None:  # noqa: ARG002 - the interface's
        self.closed = True


def test_the_end_of_a_run_waits_for_the_last_figures_but_not_for_ever() -> None:
    may_take = threading.Event()
    sink = SlowSink(may_take)
    tracker = Tracker("slow", lambda _: sink, {"preempted": 0.05, "finished": 30.0})
    tracker.started(RunInfo(KEY, 1, 0, 6, {}), History())
    for number in range(1, 1001):
        tracker.stepped(step(number), SPEED)
    with pytest.raises(StorageError, match="slow has not taken the last figures within"):
        tracker.ended("preempted", "")
    threading.Timer(0.1, may_take.set).start()
    tracker.ended("finished", "")
    assert [point.step for point in sink.taken] == list(range(1, 1001))
    assert sink.closed


def test_a_sink_that_fails_is_told_of_by_the_next_call() -> None:
    may_take = threading.Event()
    may_take.set()
    tracker = Tracker("broken", lambda _: SlowSink(may_take, broken=True))
    tracker.started(RunInfo(KEY, 1, 0, 6, {}), History())
    tracker.stepped(step(1), SPEED)
    with pytest.raises(StorageError, match="broken: no route"):
        tracker.ended("finished", "")
