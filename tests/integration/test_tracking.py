"""Real DVC on a small project: figures and curves after ``dvc repro``, and a sweep from the queue."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.warm.start import Warm

from serin.project.pipeline import pipeline_text


@dataclass(frozen=True)
class Sweep:
    """The project's folder, and how commands start there."""

    folder: Path
    warm: Warm

    def run(self, *command: str) -> str:
        environment = {
            **os.environ,
            "SERIN_RUNS": str(self.folder.parent / "runs"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        start = [sys.executable, "-m", *command] if command[0] == "dvc" else command
        done = self.warm.run(start, cwd=self.folder, env=environment, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(warm: Warm, base: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The stage ``train`` of a new project's pipeline, on a base and a dataset that git has."""
    folder = tmp_path_factory.mktemp("sweep") / "project"
    folder.mkdir()
    for source, name in ((base, "base"), (tiny_dataset, "dataset")):
        shutil.copytree(source, folder / "given" / name)
    pipeline = yaml.safe_load(pipeline_text("law-qa", None, []))
    train = pipeline["stages"]["train"]
    train["cmd"] = "serin train --base given/base --dataset given/dataset"
    train["deps"] = ["given/base", "given/dataset"]
    (folder / "dvc.yaml").write_text(
        yaml.safe_dump({**pipeline, "stages": {"train": train}, "plots": pipeline["plots"][:2]})
    )
    params = {
        "train": {"lora": {"r": 2}, "max_steps": 6, "learning_rate": 0.01, "validation": {"every_steps": 3}},
        "runs": {"trackers": ["dvclive"]},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / ".gitignore").write_text("/artifacts/\n/.serin/\n")
    sweep = Sweep(folder, warm)
    sweep.run("git", "init", "-q")
    sweep.run("dvc", "init", "-q")
    sweep.run("git", "add", "-A")
    sweep.run("git", "commit", "-qm", "a project")
    sweep.run("dvc", "repro", "-q")
    sweep.run("git", "add", "-A")
    sweep.run("git", "commit", "-qm", "trained")
    return sweep


def metrics_of(project: Sweep) -> Any:
    shown = json.loads(project.run("dvc", "metrics", "show", "--json"))
    return shown[""]["data"]["artifacts/adapter/metrics.json"]["data"]


def test_figures_and_curves_are_there_after_repro(project: Sweep) -> None:
    assert metrics_of(project)["steps"] == 6
    assert metrics_of(project)["best_validation_loss"] <= metrics_of(project)["validation_loss"]
    plots = json.loads(project.run("dvc", "plots", "show", "--json"))["data"]
    shown = {name: plot[0]["content"]["data"]["values"] for name, plot in plots.items()}
    assert set(shown) == {"Loss", "Learning rate"}
    losses = {(point["filename"], int(point["step"])): float(point["loss"]) for point in shown["Loss"]}
    steps = [("training.tsv", step) for step in range(1, 7)] + [("validation.tsv", step) for step in (3, 6)]
    assert list(losses) == steps
    assert losses["training.tsv", 6] == metrics_of(project)["final_loss"]
    assert float(max(shown["Learning rate"], key=lambda p: float(p["learning_rate"]))["learning_rate"]) == 0.01


def test_the_tracker_and_the_side_record_leave_the_repository_as_it_is(project: Sweep) -> None:
    (attempt,) = json.loads((project.folder / "artifacts" / "adapter.record.json").read_text())["attempts"]
    assert attempt["ended"] == "finished"
    assert attempt["commit"] == project.run("git", "rev-parse", "HEAD~1").strip()
    (losses,) = (project.folder.parent / "runs").glob("*/trackers/dvclive/plots/metrics/loss.tsv")
    assert len(losses.read_text().splitlines()) == 1 + 6
    assert project.run("git", "status", "--porcelain") == ""
    assert project.run("dvc", "exp", "list", "--name-only") == ""


def test_a_sweep_from_the_queue_shows_each_run_with_its_figures(project: Sweep) -> None:
    project.run("dvc", "exp", "run", "--queue", "-S", "train.learning_rate=1e-3,2e-2")
    project.run("dvc", "exp", "run", "--run-all")
    rows = json.loads(project.run("dvc", "exp", "show", "--json"))
    experiments = [e["revs"][0]["data"] for row in rows for e in row["experiments"] or ()]
    found = {}
    for data in experiments:
        rate = data["params"]["params.yaml"]["data"]["train"]["learning_rate"]
        found[rate] = data["metrics"]["artifacts/adapter/metrics.json"]["data"]["final_loss"]
    assert set(found) == {0.001, 0.02}
    assert len({*found.values(), metrics_of(project)["final_loss"]}) == 3


def test_what_changed_is_shown_beside_what_is_committed(project: Sweep) -> None:
    before = metrics_of(project)["final_loss"]
    params = yaml.safe_load((project.folder / "params.yaml").read_text())
    params["train"]["learning_rate"] = 0.02
    (project.folder / "params.yaml").write_text(yaml.safe_dump(params))
    project.run("dvc", "repro", "-q")  # the run of the sweep's experiment: nothing is trained again
    changes = json.loads(project.run("dvc", "metrics", "diff", "--json"))["artifacts/adapter/metrics.json"]
    assert changes["final_loss"]["old"] == before
    assert changes["final_loss"]["new"] == metrics_of(project)["final_loss"] != before
