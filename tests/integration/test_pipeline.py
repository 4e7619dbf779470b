"""The pipeline through DVC, as a user runs it: dvc.yaml and its stages, on a tiny base model and little data."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from .garden import run, write_project

pytestmark = pytest.mark.timeout(900)
STAGES = ["base", "prepare", "train", "merge", "evaluate", "publish"]


def repro(folder: Path) -> list[str]:
    """Run ``dvc repro`` and return the stages that ran."""
    done = run(folder, "dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"Running stage '(\w+)'", done.stdout)


def change(folder: Path, section: str, **values: Any) -> None:
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params.setdefault(section, {}).update(values)
    path.write_text(yaml.safe_dump(params))


@pytest.fixture(scope="module")
def project(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone's dvc.yaml with another base model, other data and quick params; the pipeline has run once."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder, tiny_base, storage={"url": ".serin/storage"})
    assert repro(folder) == STAGES
    return folder


def test_a_second_run_runs_nothing(project: Path) -> None:
    assert repro(project) == []


def test_another_learning_rate_runs_from_train_on_and_going_back_takes_everything_from_the_cache(project: Path) -> None:
    params, lock = ((project / name).read_text() for name in ("params.yaml", "dvc.lock"))
    change(project, "train", learning_rate=1e-3)
    assert repro(project) == STAGES[2:]
    assert (project / "dvc.lock").read_text() != lock
    (project / "params.yaml").write_text(params)
    assert repro(project) == []
    assert (project / "dvc.lock").read_text() == lock


def test_after_a_no_nothing_is_published_and_a_second_run_evaluates_nothing(project: Path) -> None:
    before = (project / "artifacts/published/published.json").read_bytes()
    rules = yaml.safe_load((project / "params.yaml").read_text())["evaluate"]["rules"]
    change(project, "evaluate", rules=[{"metric": "token_f1", "over": "base", "above": 0.99}])
    ran = []
    for _ in range(2):
        done = run(project, "dvc", "repro")
        ran.append(re.findall(r"Running stage '(\w+)'", done.stdout))
        assert done.returncode != 0
        assert re.search(r"token_f1 gain, lower bound, over base in all: .* missed by", done.stderr), done.stderr
    assert ran == [["evaluate", "publish"], ["publish"]]
    change(project, "evaluate", rules=rules)
    assert repro(project) == []
    assert (project / "artifacts/published/published.json").read_bytes() == before


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_what_is_pushed_comes_back_by_pull(project: Path, kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "folder":
        change(project, "storage", url=".serin/storage", endpoint_url=None)
    else:
        change(project, "storage", url="s3://serin/pipeline", endpoint_url=request.getfixturevalue("s3_endpoint"))
    pointed = run(project, "serin", "storage")
    assert pointed.returncode == 0, pointed.stderr
    pushed = run(project, "dvc", "push")
    assert pushed.returncode == 0, pushed.stderr
    weights = project / "artifacts/adapter/adapter_model.safetensors"
    before = weights.read_bytes()
    shutil.rmtree(project / "artifacts")
    shutil.rmtree(project / ".dvc/cache")
    pulled = run(project, "dvc", "pull")
    assert pulled.returncode == 0, pulled.stderr
    assert weights.read_bytes() == before


def test_a_missing_dataset_stops_the_pipeline_and_leaves_no_output(project: Path) -> None:
    change(project, "prepare", sources=["examples/nowhere"])
    done = run(project, "dvc", "repro", "prepare")
    assert done.returncode != 0
    assert "examples/nowhere" in done.stderr
    assert not (project / "artifacts/dataset").exists()
