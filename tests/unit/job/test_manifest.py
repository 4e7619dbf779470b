from pathlib import Path

import pytest
import yaml

from serin.core.errors import ConfigError
from serin.job.manifest import read_manifest, yaml_text

FINETUNE = {
    "apiVersion": "serin.dev/v1alpha1",
    "kind": "FineTune",
    "metadata": {"name": "law"},
    "spec": {
        "run": {
            "inputs": {"base": f"{'a' * 32}.dir", "dataset": f"{'b' * 32}.dir"},
            "params": {"storage": {"url": "s3://serin/law"}},
            "placement": {"image": "i:1"},
        }
    },
}


def write(tmp_path: Path, *documents: object) -> Path:
    path = tmp_path / "ft.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "ft.yaml"
    path.write_text(yaml_text(FINETUNE))
    assert read_manifest(path) == FINETUNE


def test_all_faults_are_told_at_once_with_their_paths(tmp_path: Path) -> None:
    spec = {"run": {**FINETUNE["spec"]["run"], "inputs": {"base": "abc"}, "stages": ["tarin"], "gpus": 3}}  # type: ignore[index]
    with pytest.raises(ConfigError) as caught:
        read_manifest(write(tmp_path, FINETUNE | {"spec": spec}))
    text = str(caught.value)
    assert "4 faults" in text
    for words in (
        "spec.run.inputs.base: ",
        "spec.run.inputs.dataset: Field required",
        "spec.run.stages.0",
        "gpus: no such",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ([], "holds 0 objects"),
        ([FINETUNE, FINETUNE], "holds 2 objects"),
        ([{"apiVersion": "batch/v1", "kind": "Job"}], "holds batch/v1 Job: expected serin.dev/v1alpha1 FineTune"),
        ([FINETUNE | {"metadata": {}}], "metadata.name is missing"),
    ],
)
def test_what_is_no_finetune_is_refused(documents: list[object], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        read_manifest(write(tmp_path, *documents))


def test_a_file_that_is_not_there_or_no_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        read_manifest(tmp_path / "none.yaml")
    (tmp_path / "ft.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        read_manifest(tmp_path / "ft.yaml")
