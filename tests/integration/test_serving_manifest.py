"""The RayService's init container fetches a published model from S3, whole, and again without harm."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.clients.storage import open_storage
from serin.core.params import StorageParams
from serin.core.revision import Revision

MANIFEST = Path(__file__).parents[2] / "k8s/serving/rayservice.yaml"


@pytest.fixture
def container() -> dict[str, Any]:
    """The init container of the workers."""
    (worker,) = yaml.safe_load(MANIFEST.read_text())["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (found,) = worker["template"]["spec"]["initContainers"]
    fetching: dict[str, Any] = found
    return fetching


def start(container: dict[str, Any], **changed: str) -> "subprocess.CompletedProcess[str]":
    """Run its command here, with its environment but for what differs on a machine."""
    told = {each["name"]: each["value"] for each in container["env"] if each["name"].startswith("SERIN_")}
    command = [sys.executable, *container["command"][1:], *container["args"]]
    return subprocess.run(command, env={**os.environ, **told, **changed}, capture_output=True, text=True)


def test_the_model_lies_where_the_engine_looks(container: dict[str, Any], s3_endpoint: str, tmp_path: Path) -> None:
    told = {each["name"]: each["value"] for each in container["env"]}
    revision = Revision.parse(told["SERIN_REVISION"])
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (model / "model.safetensors").write_bytes(bytes(100_000))
    (model / "manifest.json").write_text("{}")
    url = "s3://serin/serving"
    storage = open_storage(StorageParams(url=url, endpoint_url=s3_endpoint))
    storage.put_folder(model, f"models/{revision.name}/{revision.digest}", last="manifest.json")

    place = tmp_path / "models"
    changed = {"SERIN_STORAGE": url, "SERIN_STORAGE_ENDPOINT": s3_endpoint, "SERIN_MODELS": str(place)}
    for _ in range(2):
        done = start(container, **changed)
        assert done.returncode == 0, done.stderr
        for path in model.iterdir():
            assert (place / revision.label / path.name).read_bytes() == path.read_bytes()


def test_a_model_that_is_not_there_stops_the_pod(container: dict[str, Any], s3_endpoint: str, tmp_path: Path) -> None:
    changed = {
        "SERIN_STORAGE": "s3://serin/empty",
        "SERIN_STORAGE_ENDPOINT": s3_endpoint,
        "SERIN_MODELS": str(tmp_path),
    }
    done = start(container, **changed)
    assert done.returncode != 0
    assert "s3://serin/empty" in done.stderr
