"""The pipeline through DVC, as a user runs it: dvc.yaml and its stages, on a tiny base model and little data."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from tests.warm.start import Warm

from .garden import Garden, new_garden

pytestmark = pytest.mark.timeout(900)
STAGES = ["base", "prepare", "train", "merge", "evaluate", "publish"]


def repro(project: Garden) -> list[str]:
    """Run ``dvc repro`` and return the stages that ran."""
    done = project.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"Running stage '(\w+)'", done.stdout)


@pytest.fixture(scope="module")
def project(warm: Warm, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Garden:
    """A clone's dvc.yaml with another base model, other data and quick params; the pipeline has run once."""
    garden = new_garden(tmp_path_factory.mktemp("project"), warm, tiny_base, storage={"url": ".serin/storage"})
    assert repro(garden) == STAGES
    return garden


def test_a_second_run_runs_nothing(project: Garden) -> None:
    assert repro(project) == []


def test_another_learning_rate_runs_from_train_on_and_going_back_takes_everything_from_the_cache(
    project: Garden,
) -> None:
    params, lock = ((project.folder / name).read_text() for name in ("params.yaml", "dvc.lock"))
    project.change("train", learning_rate=1e-3)
    assert repro(project) == STAGES[2:]
    assert (project.folder / "dvc.lock").read_text() != lock
    (project.folder / "params.yaml").write_text(params)
    assert repro(project) == []
    assert (project.folder / "dvc.lock").read_text() == lock


def test_after_a_no_nothing_is_published_and_a_second_run_evaluates_nothing(project: Garden) -> None:
    before = (project.folder / "artifacts/published/published.json").read_bytes()
    rules = yaml.safe_load((project.folder / "params.yaml").read_text())["evaluate"]["rules"]
    project.change("evaluate", rules=[{"metric": "token_f1", "over": "base", "above": 0.99}])
    ran = []
    for _ in range(2):
        done = project.run("dvc", "repro")
        ran.append(re.findall(r"Running stage '(\w+)'", done.stdout))
        assert done.returncode != 0
        assert re.search(r"token_f1 gain, lower bound, over base in all: .* missed by", done.stderr), done.stderr
    assert ran == [["evaluate", "publish"], ["publish"]]
    project.change("evaluate", rules=rules)
    assert repro(project) == []
    assert (project.folder / "artifacts/published/published.json").read_bytes() == before


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_what_is_pushed_comes_back_by_pull(project: Garden, kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "folder":
        project.change("storage", url=".serin/storage", endpoint_url=None)
    else:
        project.change("storage", url="s3://serin/pipeline", endpoint_url=request.getfixturevalue("s3_endpoint"))
    pointed = project.run("serin", "storage")
    assert pointed.returncode == 0, pointed.stderr
    pushed = project.run("dvc", "push")
    assert pushed.returncode == 0, pushed.stderr
    weights = project.folder / "artifacts/adapter/adapter_model.safetensors"
    before = weights.read_bytes()
    shutil.rmtree(project.folder / "artifacts")
    shutil.rmtree(project.folder / ".dvc/cache")
    pulled = project.run("dvc", "pull")
    assert pulled.returncode == 0, pulled.stderr
    assert weights.read_bytes() == before


def test_a_missing_dataset_stops_the_pipeline_and_leaves_no_output(project: Garden) -> None:
    project.change("prepare", sources=["examples/nowhere"])
    done = project.run("dvc", "repro", "prepare")
    assert done.returncode != 0
    assert "examples/nowhere" in done.stderr
    assert not (project.folder / "artifacts/dataset").exists()
