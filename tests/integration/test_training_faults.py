"""What goes wrong around a run: machines that are lost, storage that is down, data and rates that no run can survive."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from serin.clients.files import output_folder, read_json, seal

from .attempts import Attempts, Blow
from .training import RUNS, TRAIN, Project, write_dataset

FORWARD = "serin.train.loop.step:target_nll"
TO_STORAGE = {"checkpoints": {**RUNS["checkpoints"], "to_storage": "auto"}}


@pytest.fixture
def project(
    base: Path, tiny_dataset: Path, attempts: Attempts, s3_endpoint: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Project:
    """A project whose checkpoints are copied to a prefix of its own."""
    storage = {"url": f"s3://serin/{request.node.name[:40].replace('[', '-')}", "endpoint_url": s3_endpoint}
    made = Project(tmp_path / "project", base, tiny_dataset, attempts, storage=storage, runs=TO_STORAGE)
    made.environment = {name: os.environ[name] for name in os.environ if name.startswith("AWS_") or name == "NO_PROXY"}
    return made


def test_another_machine_goes_on_from_the_copy_in_storage(
    project: Project, base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path
) -> None:
    undisturbed = Project(tmp_path / "undisturbed", base, tiny_dataset, attempts)
    assert undisturbed.train().code == 0
    ended = project.train(blows=[Blow(FORWARD, 2 * 9 + 2, signal.SIGTERM)])
    assert ended.code == 75, ended.output
    shutil.rmtree(project.folder / "runs")
    ended = project.train()
    assert ended.code == 0, ended.output
    assert "fetched the checkpoint of step 10 from storage" in ended.output
    assert "going on from step 10 of 14" in ended.output
    assert project.result() == undisturbed.result()


def test_a_copy_without_its_manifest_is_none(project: Project, s3_endpoint: str) -> None:
    assert project.train(blows=[Blow(FORWARD, 2 * 9 + 2, signal.SIGTERM)]).code == 75
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    keys = [item["Key"] for item in client.list_objects_v2(Bucket="serin").get("Contents", [])]
    (newest,) = [key for key in keys if key.endswith("step-00000010/manifest.json") and "copy_without" in key]
    client.delete_object(Bucket="serin", Key=newest)
    shutil.rmtree(project.folder / "runs")
    ended = project.train()
    assert ended.code == 0, ended.output
    assert "fetched the checkpoint of step 8 from storage" in ended.output


class _Down(BaseHTTPRequestHandler):
    def answer(self) -> None:
        self.send_response(503)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - named by http.server

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def broken_endpoint() -> Iterator[str]:
    """An S3 server that answers every request with 503."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Down)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_storage_that_is_down_all_the_time_stops_no_run(
    base: Path, tiny_dataset: Path, attempts: Attempts, broken_endpoint: str, tmp_path: Path
) -> None:
    storage = {"url": "s3://serin/x", "endpoint_url": broken_endpoint}
    project = Project(tmp_path / "p", base, tiny_dataset, attempts, storage=storage, runs=TO_STORAGE)
    project.environment = {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    began = time.monotonic()
    ended = project.train()
    assert ended.code == 0, ended.output
    assert "storage does not say whether it has a newer checkpoint" in ended.output
    assert "could not be copied" in ended.output
    assert time.monotonic() - began < 60
    assert read_json(project.folder / "adapter" / "metrics.json")["steps"] == 14


def test_a_run_that_diverges_ends_with_the_step_and_its_records(
    base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path
) -> None:
    train = {
        **TRAIN,
        "method": "full",
        "learning_rate": 0.9,
        "max_grad_norm": None,
        "max_steps": 200,
        "warmup_ratio": 0,
    }
    ended = Project(tmp_path / "p", base, tiny_dataset, attempts, train=train).train()
    assert ended.code == 78, ended.output
    assert "training diverged at step" in ended.output or "the loss of a micro-batch is" in ended.output
    assert "records" in ended.output
    assert "train-" in ended.output
    assert not (tmp_path / "p" / "adapter").exists()


def test_three_rows_are_enough(base: Path, attempts: Attempts, tmp_path: Path) -> None:
    rows = [
        {
            "messages": [{"role": "user", "content": f"Rule {i}?"}, {"role": "assistant", "content": "Six months."}],
            "meta": {"id": f"r{i}"},
        }
        for i in range(3)
    ]
    dataset = write_dataset(tmp_path / "dataset", train=rows)
    project = Project(tmp_path / "p", base, dataset, attempts, train={"max_steps": 2, "lora": {"r": 2}})
    ended = project.train()
    assert ended.code == 0, ended.output
    assert "the validation split is empty" in ended.output
    assert read_json(project.folder / "adapter" / "metrics.json")["examples"] == 3


def test_what_is_out_of_scope_is_refused(base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path) -> None:
    ended = Project(tmp_path / "p", base, tiny_dataset, attempts, train={"method": "dpo"}).train()
    assert ended.code == 78
    assert "train.method = 'dpo': Input should be 'qlora', 'lora' or 'full'" in ended.output


def test_a_held_out_record_in_the_train_split_is_refused(
    base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path
) -> None:
    with output_folder(tmp_path / "dataset") as folder:
        for split in ("train", "validation", "test", "control"):
            text = (tiny_dataset / f"{split}.jsonl").read_text()
            if split == "train":  # the question of a test record, under another id
                text += (tiny_dataset / "test.jsonl").read_text().splitlines()[0].replace('"test-0"', '"new"') + "\n"
            (folder / f"{split}.jsonl").write_text(text)
        seal(folder, kind="dataset")
    ended = Project(tmp_path / "p", base, tmp_path / "dataset", attempts).train()
    assert ended.code == 78
    assert "1 of 6 records of the test split stand in the train split too, such as test-0" in ended.output
