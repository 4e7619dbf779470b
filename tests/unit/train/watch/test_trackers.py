"""Each tracker for real: its own files are read back, after a run that was interrupted and gone on with."""

import csv
import sys
from pathlib import Path
from typing import Any

import pytest

from serin.core.errors import ConfigError
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.trackers import trackers
from serin.train.watch.watcher import RunInfo, Speed

KEY = "c" * 64
SPEED = Speed(100.0, 9.0, 4)


def step(number: int) -> StepRecord:
    return StepRecord(number, number / 3, 5.0 - number, 1e-3, 0.5, 40, 20)


def interrupted_and_gone_on_with(name: str, folder: Path) -> None:
    """Steps 1 to 4, a kill that loses step 4, and steps 3 to 6 by the next attempt, which goes on from step 2."""
    first, second = trackers([name], folder)[0], trackers([name], folder)[0]
    params: dict[str, object] = {"learning_rate": 0.5}
    first.started(RunInfo(KEY, 1, 0, 6, params), History())
    for number in (1, 2, 3, 4):
        first.stepped(step(number), SPEED)
    first.validated(ValidationRecord(4, 1.0, 1.25, 20), best=True)
    first.ended("failed", "killed")
    second.started(RunInfo(KEY, 2, 2, 6, params), History([step(1), step(2)]))
    for number in (3, 4):
        second.stepped(step(number), SPEED)
    second.validated(ValidationRecord(4, 1.0, 1.25, 20), best=True)
    for number in (5, 6):
        second.stepped(step(number), SPEED)
    second.ended("finished", "")


LOSSES = [(number, 5.0 - number) for number in range(1, 7)]


def test_dvclive_has_every_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    interrupted_and_gone_on_with("dvclive", tmp_path / "t")
    with (tmp_path / "t" / "dvclive" / "plots" / "metrics" / "loss.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(int(row["step"]), float(row["loss"])) for row in rows] == LOSSES
    assert not (tmp_path / "dvc.yaml").exists()


def test_tensorboard_has_every_step_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    interrupted_and_gone_on_with("tensorboard", tmp_path)
    events: Any = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == LOSSES
    assert [(e.step, e.value) for e in events.Scalars("validation_loss")] == [(4, 1.25)]


def test_mlflow_finds_the_run_by_its_key_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    interrupted_and_gone_on_with("mlflow", tmp_path)
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("serin")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["serin.run"] == KEY
    assert run.info.status == "FINISHED"
    assert run.data.params == {"learning_rate": "0.5"}
    points = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in points] == LOSSES


def test_mlflow_without_a_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set MLFLOW_TRACKING_URI"):
        trackers(["mlflow"], tmp_path, {})


def test_wandb_writes_offline_where_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    interrupted_and_gone_on_with("wandb", tmp_path)
    runs = sorted(path.name for path in (tmp_path / "wandb").glob(f"offline-run-*-{KEY[:32]}"))
    assert runs
    assert all(list((tmp_path / "wandb" / run).glob("*.wandb")) for run in runs)


def test_one_that_is_not_installed_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dvclive", None)
    with pytest.raises(ConfigError, match=r"dvclive is not installed .* pip install 'serin\[tracking\]'"):
        trackers(["dvclive"], tmp_path)
