"""What tells two revisions apart."""

from pathlib import Path

import pytest

from serin.clients.files import seal
from serin.publish.lineage.difference import difference, tell
from serin.publish.lineage.walk import walk

from ..outputs import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_the_same_model_differs_in_nothing_and_its_figures_are_shown(project: Project) -> None:
    walked = walk(project.storage, project.publish())
    found = difference(walked, walked)
    assert not any(found[part] for part in ("params", "code", "data", "base"))
    assert [row["slice"] for row in found["figures"]] == ["all", "language=zh"]
    assert list(tell(found)).count("   no difference") == 4


def test_changed_params_data_and_figures_are_named_with_both_values(project: Project) -> None:
    first = walk(project.storage, project.publish())
    (project.outputs.dataset / "train.jsonl").write_text("{}\n{}\n")
    seal(
        project.outputs.dataset,
        kind="dataset",
        inputs={"base": project.inputs["base"], "raw": "cd" * 32},
        params={"max_tokens": 512, "markup": "strip"},
        metrics={"records": {"train": 20, "test": 3}},
    )
    project.inputs["dataset"] = project.read_dataset_digest()
    project.merge(b"other weights")
    second = walk(project.storage, project.publish(evaluation=False, override="to compare the two"))
    found = difference(first, second)
    assert found["params"]["prepare.max_tokens"] == {"a": 256, "b": 512}
    assert "prepare.markup" not in found["params"]
    assert found["data"]["train records"] == {"a": 10, "b": 20}
    assert found["data"]["raw"] == {"a": "ab" * 32, "b": "cd" * 32}
    lines = list(tell(found))
    assert "   train records: 10 → 20" in lines
    assert any(line.endswith("0.9 (gain 0.7 [0.6, 0.8]) → not measured") for line in lines)
