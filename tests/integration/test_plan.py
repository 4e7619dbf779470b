"""A plan says before a run what the run then says of itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from serin.clients.files import read_json, read_manifest, write_json

from .attempts import Attempts
from .training import Project


@pytest.fixture
def project(base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path) -> Project:
    return Project(tmp_path / "project", base, tiny_dataset, attempts)


def planned(project: Project, *arguments: str) -> dict[str, Any]:
    ended = project.train("--plan", "--json", *arguments)
    assert ended.code == 0, ended.output
    plan: dict[str, Any] = json.loads(ended.output[ended.output.index("{\n") :])
    return plan


def test_what_is_planned_is_what_is_trained(project: Project) -> None:
    plan = planned(project)
    assert project.train().code == 0
    metrics = read_manifest(project.folder / "adapter", "adapter", verify=True).metrics
    log = read_json(project.folder / "adapter/log.json")
    assert plan["parameters"] == {"trained": metrics["trainable_parameters"], "total": metrics["parameters"]}
    assert (plan["examples"], plan["steps"]) == (metrics["examples"], metrics["steps"])
    assert plan["tokens"] == sum(step["tokens"] for step in log["steps"])
    assert plan["validations"] == len(log["validations"])


def test_a_plan_reads_no_weights_and_leaves_nothing(project: Project, tiny_base: Path) -> None:
    alone = project.folder / "config-alone"
    alone.mkdir()
    shutil.copy(tiny_base / "config.json", alone)
    write_json(project.folder / "base/base.json", {"folder": str(alone)})
    before = sorted(project.folder.rglob("*"))
    ended = project.train("--plan", "--gpu", "l4")
    assert ended.code == 0, ended.output
    for words in ("trained", "activations", "logits", "fits", "micro_batch_size: 4", "of the 121 TFLOP/s of L4"):
        assert words in ended.output
    assert sorted(project.folder.rglob("*")) == sorted([*before, project.folder / "attempt.log"])


def test_a_calibration_trains_and_keeps_nothing(project: Project) -> None:
    plan = planned(project, "--calibrate", "5")
    assert 0 < plan["hours"]["low"] <= plan["hours"]["high"] < 0.1
    assert "5 steps measured here, of 14" in plan["hours"]["how"]
    assert not (project.folder / "runs").exists()
    assert not (project.folder / "adapter").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--gpu", "L4"), 2, "belong to --plan"),
        (("--plan", "--gpu", "B300"), 2, "--gpu B300: not in the table; one of A10,"),
        (("--plan", "--gpu", "L4", "--calibrate", "20"), 2, "leave one out"),
        (("--plan", "--calibrate", "1"), 2, "1 is not in the range"),
    ],
)
def test_what_cannot_be_planned_is_refused(project: Project, arguments: tuple[str, ...], code: int, says: str) -> None:
    ended = project.train(*arguments)
    assert (ended.code, says in ended.output) == (code, True), ended.output


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("owner/model", "fetch it alone with 'hf download owner/model --revision 0123456789"),
        ("./nowhere", "name a folder in Hugging Face format, or a hub id"),
    ],
)
def test_a_model_that_is_not_here_is_not_downloaded_for_a_plan(project: Project, model: str, says: str) -> None:
    params = f"base: {{model: {model}, revision: '{'0123456789' * 4}'}}\n"
    (project.folder / "params.yaml").write_text(params)
    (project.folder / "base/base.json").unlink()
    ended = project.train("--plan")
    assert (ended.code, says in ended.output) == (78, True), ended.output
