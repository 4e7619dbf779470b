"""Training in several processes and pods: torchrun ends with 1 whatever happened, and the pod still ends as the run did."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.warm.start import Warm

from serin.base import stage as base_stage
from serin.core.params import StorageParams

from .pods import Pods, until
from .test_memory import CALM

pytestmark = pytest.mark.timeout(900)

TRAIN = {**CALM, "learning_rate": 0.005}


@pytest.fixture
def pods(s3_endpoint: str, warm: Warm, tmp_path: Path) -> Iterator[Pods]:
    storage = StorageParams(url=f"s3://serin/{tmp_path.name}", endpoint_url=s3_endpoint)
    pods = Pods(tmp_path / "pods", storage, {"train": dict(TRAIN), "runs": {"checkpoints": {"every_steps": 4}}}, warm)
    yield pods
    pods.close()


@pytest.fixture
def inputs(pods: Pods, base: Path, tiny_dataset: Path) -> dict[str, str]:
    model = base_stage.model_folder(base)
    assert model is not None
    return {"base": pods.put(base), "model": pods.put(model), "dataset": pods.put(tiny_dataset)}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_two_pods_train_together_and_the_first_one_stores_the_result(pods: Pods, inputs: dict[str, str]) -> None:
    world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    task = pods.task("train", inputs, nodes=2)
    second = pods.start("run-1", task, JOB_COMPLETION_INDEX="1", **world)
    first = pods.start("run-0", task, JOB_COMPLETION_INDEX="0", **world)
    assert (first.wait(), second.wait()) == (0, 0), first.printed() + second.printed()
    result = pods.result("train")
    assert result is not None
    assert result.metrics["steps"] == TRAIN["max_steps"]
    assert first.ending().result == result
    assert second.ending().result is None
    assert pods.progress("train")["pod"] == "run-0"
    assert pods.log("train", "run-1") == second.printed()
    assert not (second.folder / "work/artifacts/adapter").exists()


def test_processes_that_are_asked_to_stop_end_the_pod_with_75(pods: Pods, inputs: dict[str, str]) -> None:
    pods.params["train"] = {**TRAIN, "max_steps": 5000, "schedule": "constant"}
    pod = pods.start("run-0", pods.task("train", inputs, processes=2))
    until(lambda: (pods.progress("train").get("step") or 0) >= 3, pod)
    pod.process.send_signal(signal.SIGTERM)
    assert pod.wait() == 75, pod.printed()
    assert "of 5000, which is saved" in pod.ending().message
    assert any(key.endswith("/manifest.json") for key in pods.stored.list("runs/"))


def test_a_fault_that_every_process_finds_ends_the_pod_with_78(pods: Pods, inputs: dict[str, str]) -> None:
    pods.params["train"] = {**TRAIN, "lora": {"target_modules": ["no_such_layer"]}}
    pod = pods.run("run-0", pods.task("train", inputs, processes=2))
    assert pod.process.returncode == 78, pod.printed()
    assert pod.ending().message.startswith("train.lora.target_modules = ['no_such_layer']")
    assert "Traceback" not in pod.ending().message
