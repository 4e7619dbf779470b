"""Real DVC on a small project: figures and curves after ``dvc repro``, and a sweep from the queue."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from serin.project.pipeline import pipeline_text


def run(folder: Path, *command: str) -> str:
    environment = {
        **os.environ,
        "SERIN_RUNS": str(folder.parent / "runs"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(base: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stage ``train`` of a new project's pipeline, on a base and a dataset that git has."""
    folder = tmp_path_factory.mktemp("sweep") / "project"
    folder.mkdir()
    for source, name in ((base, "base"), (tiny_dataset, "dataset")):
        shutil.copytree(source, folder / "given" / name)
    pipeline = yaml.safe_load(pipeline_text(None, []))
    train = pipeline["stages"]["train"]
    train["cmd"] = "serin train --base given/base --dataset given/dataset"
    train["deps"] = ["given/base", "given/dataset"]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({**pipeline, "stages": {"train": train}}))
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"train": {"lora": {"r": 2}, "max_steps": 6, "learning_rate": 0.01}})
    )
    (folder / ".gitignore").write_text("/artifacts/\n/.serin/\n")
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "a project")
    run(folder, "dvc", "repro", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "trained")
    return folder


def test_figures_and_curves_are_there_after_repro(project: Path) -> None:
    metrics = json.loads(run(project, "dvc", "metrics", "show", "--json"))
    found = metrics[""]["data"]["artifacts/adapter/metrics.json"]["data"]
    assert found["steps"] == 6
    assert found["best_validation_loss"] <= found["validation_loss"]
    page = run(project, "dvc", "plots", "show", "--json")
    shown = json.loads(page)["data"]
    for name in ("training", "validation"):
        key = next(key for key in shown if f"{name}.tsv" in key)
        points = shown[key][0]["content"]["data"]["values"] if "content" in shown[key][0] else shown[key]
        assert points
    assert run(project, "dvc", "metrics", "diff", "HEAD~1")
    assert (project / "artifacts" / "adapter.record.json").is_file()


def test_a_sweep_from_the_queue_shows_each_run_with_its_figures(project: Path) -> None:
    for rate in ("0.001", "0.02"):
        run(project, "dvc", "exp", "run", "--queue", "-S", f"train.learning_rate={rate}")
    run(project, "dvc", "exp", "run", "--run-all", "-j", "1")
    rows = json.loads(run(project, "dvc", "exp", "show", "--json"))
    experiments = [e for row in rows for e in row["experiments"] or ()]
    found = {}
    for experiment in experiments:
        data = experiment["revs"][0]["data"]
        rate = data["params"]["params.yaml"]["data"]["train"]["learning_rate"]
        found[rate] = data["metrics"]["artifacts/adapter/metrics.json"]["data"]["final_loss"]
    assert set(found) == {0.001, 0.02}
    assert found[0.02] != found[0.001]
