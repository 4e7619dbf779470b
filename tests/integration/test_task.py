"""A stage in a pod: killed, stopped, started again elsewhere; what comes out is what a laptop gives."""

import os
import queue
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.warm.start import Warm

from serin.base import stage as base_stage
from serin.clients.dvc_remote import fetch, put
from serin.core.params import StorageParams
from serin.core.task import Result, result_key
from serin.task.estimate import estimate_in_background
from serin.task.memory import Memory
from serin.task.signs import Signs

from .attempts import Attempts
from .pods import Pods, until
from .s3_faults import Fault, faulty_s3
from .training import STEPS, TRAIN, Project

pytestmark = pytest.mark.timeout(900)

needs_mounts = pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0,
    reason="mounting is not allowed here",
)
RUNS = {"checkpoints": {"every_steps": 4, "keep": 2, "to_storage": "auto"}}
PARAMS = {
    "train": TRAIN,
    "runs": RUNS,
    "merge": {"name": "tiny", "dtype": "float32"},
    "evaluate": {
        "forgetting": {"general": []},
        "safety": {"red_team": []},
        "rules": [{"metric": "token_f1", "over": "base", "above": -1.0}],
        "max_new_tokens": 8,
        "resamples": 200,
    },
}


@pytest.fixture
def pods(s3_endpoint: str, warm: Warm, tmp_path: Path) -> Iterator[Pods]:
    storage = StorageParams(url=f"s3://serin/{tmp_path.name}", endpoint_url=s3_endpoint)
    pods = Pods(tmp_path / "pods", storage, dict(PARAMS), warm)
    yield pods
    pods.close()


@pytest.fixture
def inputs(pods: Pods, base: Path, tiny_dataset: Path) -> dict[str, str]:
    """What goes into training, in storage."""
    model = base_stage.model_folder(base)
    assert model is not None
    return {"base": pods.put(base), "model": pods.put(model), "dataset": pods.put(tiny_dataset)}


@pytest.fixture(scope="module")
def laptop(base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The DVC hash of what ``serin train`` gives on one machine, never interrupted."""
    folder = tmp_path_factory.mktemp("laptop")
    project = Project(folder / "project", base, tiny_dataset, attempts)
    assert project.train().code == 0
    return put(project.folder / "adapter", StorageParams(url=str(folder / "storage")))


def test_a_pod_gives_what_a_laptop_gives_and_leaves_log_progress_and_result(
    pods: Pods, inputs: dict[str, str], laptop: str
) -> None:
    pod = pods.run("pod-1", pods.task("train", inputs))
    assert pod.process.returncode == 0, pod.printed()
    result = pods.result("train")
    assert result is not None
    assert result.out == laptop
    assert result.metrics["steps"] == STEPS
    assert pod.ending().result == result
    assert pods.log("train", "pod-1") == pod.printed()
    told = pods.progress("train")
    assert (told["phase"], told["step"], told["pod"]) == ("finished", STEPS, "pod-1")
    again = pods.run("pod-2", pods.task("train", inputs))
    assert again.process.returncode == 0
    assert again.ending().result == result
    assert not (again.folder / "work").exists()


def test_a_pod_that_dies_is_taken_over_by_another_one_and_the_stages_after_it_go_through(
    pods: Pods, inputs: dict[str, str], laptop: str, s3_endpoint: str
) -> None:
    with faulty_s3(s3_endpoint) as line:  # its last checkpoint is stored, and nothing of its output yet
        held = Fault("hold", "^PUT .*/dvc/", times=100)
        line.faults.append(held)
        over_the_line = pods.storage.model_copy(update={"endpoint_url": line.url})
        first = pods.start("train-1", replace(pods, storage=over_the_line).task("train", inputs))
        until(held.held.is_set, first)
        first.kill()
    assert pods.result("train") is None
    assert checkpoints(pods) != []
    second = pods.run("train-2", pods.task("train", inputs))
    assert second.process.returncode == 0, second.printed()
    assert "fetched the checkpoint of step" in second.printed()
    trained = pods.result("train")
    assert trained is not None
    assert trained.out == laptop

    merge = pods.run("merge-1", pods.task("merge", {**inputs, "adapter": trained.out}))
    assert merge.process.returncode == 0, merge.printed()
    merged = pods.result("merge")
    assert merged is not None
    evaluate = pods.run("evaluate-1", pods.task("evaluate", {**inputs, "merged": merged.out}))
    assert evaluate.process.returncode == 0, evaluate.printed()
    evaluated = pods.result("evaluate")
    assert evaluated is not None
    assert (evaluated.passed, evaluated.missed, evaluated.digest) == (True, [], merged.digest)
    assert pods.progress("evaluate")["phase"] == "finished"
    outputs = {"adapter": trained.out, "merged": merged.out, "evaluation": evaluated.out}
    publish = pods.run("publish-1", pods.task("publish", {**inputs, **outputs}))
    assert publish.process.returncode == 0, publish.printed()
    published = pods.result("publish")
    assert published is not None
    assert published.revision == f"tiny@{merged.digest}"
    assert pods.stored.list(f"models/tiny/{merged.digest}/manifest.json") != []


def test_a_pod_that_is_killed_in_the_middle_is_taken_over_from_its_last_checkpoint(
    pods: Pods, inputs: dict[str, str], base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path
) -> None:
    params = {**TRAIN, "max_steps": 60}
    whole = Project(tmp_path / "whole", base, tiny_dataset, attempts, train=params)
    assert whole.train().code == 0
    pods.params["train"] = params
    first = pods.start("train-1", pods.task("train", inputs))
    until(lambda: checkpoints(pods) != [], first)
    first.kill()
    assert not any(line.startswith("adapter ") for line in first.printed().splitlines())  # as it does when it is done
    second = pods.run("train-2", pods.task("train", inputs))
    assert second.process.returncode == 0, second.printed()
    assert "fetched the checkpoint of step" in second.printed()
    trained = pods.result("train")
    assert trained is not None
    assert trained.out == put(whole.folder / "adapter", StorageParams(url=str(tmp_path / "storage")))


def test_a_pod_after_one_that_memory_ended_takes_smaller_micro_batches(pods: Pods, inputs: dict[str, str]) -> None:
    """The first one is killed at its limit and cannot say so; only what it left in storage tells."""
    pods.params["train"] = {**TRAIN, "max_steps": 2}
    gib = 1 << 30
    Signs(pods.stored, pods.prefix("train"), "train-1", memory=lambda: Memory(63 * gib, 64 * gib, 0)).beat()
    second = pods.run("train-2", pods.task("train", inputs))
    assert second.process.returncode == 0, second.printed()
    assert "killed for memory: the micro-batch is halved from 2 to 1 examples" in second.printed()
    assert pods.progress("train")["micro_batch_size"] == 1


@needs_mounts
@pytest.mark.parametrize("when", ["fetching", "saving"])
def test_a_disk_that_is_full_is_named_in_the_last_words(
    pods: Pods, inputs: dict[str, str], base: Path, tiny_dataset: Path, when: str
) -> None:
    model = base_stage.model_folder(base)
    assert model is not None
    files = [file for folder in (base, model, tiny_dataset) for file in folder.rglob("*") if file.is_file()]
    pages = sum(-(-file.stat().st_size // 4096) for file in files)
    room = pages // 2 if when == "fetching" else pages + 40  # a checkpoint takes about 60 pages
    work = pods.root / "train-1/work"
    mount = f'mkdir "$0" && mount -t tmpfs -o size={room * 4}k none "$0" && exec "$@"'
    pod = pods.run("train-1", pods.task("train", inputs), "unshare", "-m", "bash", "-c", mount, str(work))
    assert pod.process.returncode == 1, pod.printed()  # another node may have the room: it is tried again
    assert ("train: " in pod.printed()) == (when == "saving")
    assert "No space left on device" in pod.ending().message
    assert pods.progress("train")["phase"] == "failed"
    assert pods.log("train", "train-1") == pod.printed()
    assert pods.result("train") is None


def test_a_gate_that_says_no_is_told_by_evaluate_and_refused_by_publish(
    pods: Pods, inputs: dict[str, str], attempts: Attempts, tmp_path: Path
) -> None:
    pods.params["evaluate"] = {**PARAMS["evaluate"], "rules": [{"metric": "token_f1", "over": "base", "above": 0.99}]}
    merged = pods.put(base_as_merged(pods, inputs, attempts, tmp_path))
    evaluate = pods.run("evaluate-1", pods.task("evaluate", {**inputs, "merged": merged}))
    assert evaluate.process.returncode == 0, evaluate.printed()
    evaluated = pods.result("evaluate")
    assert evaluated is not None
    assert not evaluated.passed
    assert [rule.startswith("token_f1 gain, lower bound, over base in all: ") for rule in evaluated.missed] == [True]


def test_a_pod_that_is_asked_to_stop_leaves_a_checkpoint_in_storage_and_says_so(
    pods: Pods, inputs: dict[str, str]
) -> None:
    pods.params["train"] = {**TRAIN, "max_steps": 5000, "schedule": "constant"}
    pods.params["runs"] = {"checkpoints": {"every_steps": None}}  # only on SIGTERM
    pod = pods.start("train-1", pods.task("train", inputs))
    until(lambda: (pods.progress("train").get("step") or 0) >= 3, pod)
    pod.process.send_signal(signal.SIGTERM)
    assert pod.wait() == 75, pod.printed()
    (step,) = checkpoints(pods)
    assert f"stopped at step {step} of 5000, which is saved" in pod.ending().message
    assert pod.ending().exit_code == 75
    assert pods.progress("train")["phase"] == "preempted"
    assert pods.log("train", "train-1") == pod.printed()
    assert pods.result("train") is None


def test_faults_that_no_retry_mends_end_with_78_and_the_stage_s_own_words(pods: Pods, inputs: dict[str, str]) -> None:
    lost = pods.run("lost", pods.task("train", {**inputs, "dataset": "0" * 32 + ".dir"}))
    assert lost.process.returncode == lost.ending().exit_code == 78
    assert lost.ending().message.startswith("dataset: s3://serin/")
    assert f"{'0' * 30}.dir is not in storage" in lost.ending().message

    pods.params["train"] = {**TRAIN, "lora": {"target_modules": ["没有这一层"]}}
    refused = pods.run("refused", pods.task("train", inputs))
    assert refused.process.returncode == 78, refused.printed()
    assert refused.ending().message.startswith("train.lora.target_modules = ['没有这一层']")
    assert pods.progress("train")["phase"] == "failed"
    assert pods.result("train") is None
    assert not (refused.folder / "work/artifacts/adapter").exists()

    pods.params["train"] = {"epochs": -1}
    faulty = pods.run("faulty", pods.task("train", inputs))
    assert faulty.process.returncode == 78
    assert "train.epochs = -1" in faulty.ending().message


@needs_mounts
def test_a_root_that_is_read_only_is_enough(pods: Pods, inputs: dict[str, str]) -> None:
    """As the Job has it: nothing can be written but the working folder, and there is no home."""
    pods.params["train"] = {**TRAIN, "max_steps": 2}
    folder = pods.root / "train-1"
    script = (
        'mount --bind "$0" "$0"\n'
        "for place in $(findmnt -rn -o TARGET -t nofuse,noproc,nosysfs,nodevtmpfs,nodevpts,nomqueue,nocgroup2); do\n"
        '  case "$place" in "$0"|/proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$place" || true;; esac\n'
        "done\n"
        'if touch "$1/written" 2>/dev/null; then echo "the root can be written"; exit 99; fi\n'
        'cd "$0" && shift && exec "$@"\n'
    )
    before = ["unshare", "-m", "bash", "-c", script, str(folder), str(pods.root)]
    places = {"HOME": "/nonexistent", "TMPDIR": str(folder), "SERIN_WORK": ""}
    pod = pods.run("train-1", pods.task("train", inputs), *before, **places)
    assert pod.process.returncode == 0, pod.printed()
    assert pods.result("train") is not None
    assert (folder / "artifacts/adapter/manifest.json").is_file()
    assert not (pods.root / "written").exists()


def test_a_log_that_storage_did_not_take_at_first_is_there_in_the_end(
    pods: Pods, inputs: dict[str, str], s3_endpoint: str
) -> None:
    with faulty_s3(s3_endpoint) as line:
        line.faults.append(Fault("error", "^PUT .*/log/", times=3, status=503, code="SlowDown"))
        over_the_line = pods.storage.model_copy(update={"endpoint_url": line.url})
        task = replace(pods, storage=over_the_line).task("train", {**inputs, "dataset": "0" * 32 + ".dir"})
        pod = pods.run("train-1", task, AWS_MAX_ATTEMPTS="1")
    assert pod.process.returncode == 78
    assert "the log could not be stored" in pod.printed()
    assert pods.log("train", "train-1") == pod.printed()


def test_a_pod_that_may_not_write_ends_before_it_fetches_anything(
    pods: Pods, inputs: dict[str, str], s3_endpoint: str
) -> None:
    with faulty_s3(s3_endpoint) as line:
        line.faults.append(Fault("error", "^PUT ", times=1000, status=403, code="AccessDenied"))
        over_the_line = pods.storage.model_copy(update={"endpoint_url": line.url})
        pod = pods.run("train-1", replace(pods, storage=over_the_line).task("train", inputs))
    assert pod.process.returncode == pod.ending().exit_code == 78
    assert "AccessDenied" in pod.ending().message
    assert "has to let it write" in pod.ending().message
    assert "fetching" not in pod.printed()


def test_where_another_pod_was_first_its_result_stays(pods: Pods, inputs: dict[str, str]) -> None:
    pods.params["train"] = {**TRAIN, "max_steps": 60}
    pod = pods.start("train-2", pods.task("train", inputs))
    until(lambda: pods.progress("train").get("phase") not in (None, "starting"), pod)
    first = Result(stage="train", out="1" * 32 + ".dir", digest="1" * 64)
    key = result_key(pods.prefix("train"))
    assert pods.stored.write_new(key, first.model_dump_json().encode())
    assert pod.wait() == 0, pod.printed()
    assert pod.ending().result == pods.result("train") == first
    assert f"another pod was first, and its output {first.out} stays" in pod.printed()


def test_what_training_is_planned_to_take_of_main_memory_is_told(
    base: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    shutil.copytree(base, tmp_path / "artifacts/base")
    shutil.copytree(tiny_dataset, tmp_path / "artifacts/dataset")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"train": TRAIN}))
    told: queue.Queue[int] = queue.Queue()
    estimate_in_background(tmp_path, {**os.environ, "CUDA_VISIBLE_DEVICES": ""}, told.put)
    assert told.get(timeout=300) > 1 << 20


def checkpoints(pods: Pods) -> list[int]:
    """Steps of the complete checkpoints in storage."""
    keys = pods.stored.list("runs/")
    return [
        int(key.split("/")[-2].removeprefix("step-")) for key in keys if re.search(r"/step-\d+/manifest\.json$", key)
    ]


def base_as_merged(pods: Pods, inputs: dict[str, str], attempts: Attempts, folder: Path) -> Path:
    """The base model itself as the candidate, in storage; the pointer to it."""
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"storage": pods.storage.model_dump(), "merge": PARAMS["merge"]})
    )
    pods_base = folder / "base"
    fetch(inputs["base"], pods.storage, pods_base)
    done = attempts.run(folder, "merge", "--no-adapter", "--base", str(pods_base), "--out", "merged")
    assert done.code == 0, done.output
    return folder / "merged"
