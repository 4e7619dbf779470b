"""The way back from a revision to its data."""

import json
import shutil
from pathlib import Path

import pytest

from serin.core.params import TrainParams
from serin.publish.lineage.walk import changed_params, tell, walk

from ..outputs import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_it_leads_from_the_model_to_metrics_params_and_the_sources_of_the_records(project: Project) -> None:
    walked = walk(project.storage, project.publish())
    assert walked["adapter"]["digest"] == project.inputs["adapter"]
    assert walked["adapter"]["params"] == {"learning_rate": 0.003, "epochs": 5.0}
    assert walked["evaluation"]["gains"]["base"][0]["ci_low"] == 0.6
    assert walked["dataset"]["digest"] == project.inputs["dataset"]
    assert walked["dataset"]["records"] == {"train": 10, "test": 3}
    assert [(s["source"], s["license"]) for s in walked["dataset"]["sources"]][:1] == [("laws.csv", "cc-by-4.0")]
    assert walked["base"]["digest"] == project.inputs["base"]
    json.dumps(walked)


def test_storage_alone_is_enough(project: Project) -> None:
    record = project.publish()
    shutil.rmtree(project.folder / "artifacts")
    shutil.rmtree(project.folder / "base")
    lines = list(tell(walk(project.storage, record)))
    text = "\n".join(lines)
    for words in (
        str(project.revision),
        f"└─ adapter {project.inputs['adapter']}",
        "token_f1 on test: 0.9, over base 0.7 [0.6, 0.8]",
        "laws.csv: 10 of 12 records, cc-by-4.0",
        "chats.jsonl: 3 of 4 records, licence not stated",
        f"raw files {'ab' * 32}",
        f"└─ base {project.inputs['base']}",
    ):
        assert words in text


def test_nothing_of_the_machine_is_kept(project: Project) -> None:
    record = project.publish()
    kept = [project.storage.read(key) for key in project.storage.list("lineage/")]
    assert kept
    assert not any(str(project.folder).encode() in data for data in kept)
    assert walk(project.storage, record)["base"]["model"] == "base"


def test_what_was_never_evaluated_says_so(project: Project) -> None:
    lines = list(tell(walk(project.storage, project.publish(evaluation=False, override="no time to evaluate"))))
    assert "└─ not evaluated" in lines
    assert any("WITHOUT A PASSING VERDICT: no time to evaluate" in line for line in lines)


def test_only_params_off_their_defaults_are_told() -> None:
    params = TrainParams(learning_rate=0.123).model_dump(mode="json") | {"unheard_of": 1}
    assert changed_params("train", params) == {"learning_rate": 0.123, "unheard_of": 1}
