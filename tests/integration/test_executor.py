"""``executor: kubernetes``: DVC's pipeline on a cluster whose pods run the real stages, on a tiny model."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.warm.start import Warm

from ..cluster.standin import StandIn
from .cluster import real_pods
from .garden import Garden, new_garden

pytestmark = pytest.mark.timeout(900)
ON_CLUSTER = {"train": "adapter", "merge": "merged", "evaluate": "evaluation", "publish": "published"}


@pytest.fixture(scope="module")
def cluster(s3_endpoint: str, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """Uses the S3 server's credentials, as the pods' ServiceAccount would give them."""
    assert s3_endpoint
    with real_pods(tmp_path_factory.mktemp("pods"), warm) as standin:
        yield standin


def run(project: Garden, cluster: StandIn, *command: str) -> "subprocess.CompletedProcess[str]":
    return project.run(*command, KUBECONFIG=str(cluster.kubeconfig))


@pytest.fixture(scope="module")
def project(
    warm: Warm, tiny_base: Path, s3_endpoint: str, cluster: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Garden:
    """The repository's own pipeline, once through on the cluster."""
    small = {"cpu": "1", "memory": "4Gi", "gpus": 0}
    garden = new_garden(
        tmp_path_factory.mktemp("project"),
        warm,
        tiny_base,
        storage={"url": "s3://serin/executor", "endpoint_url": s3_endpoint},
        executor="kubernetes",
        kubernetes={"image": "registry.example/serin-train:1", "train": small, "other": small},
    )
    done = run(garden, cluster, "dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    return garden


def locked(project: Garden) -> dict[str, str]:
    """The hash of each stage's output in ``dvc.lock``."""
    stages = yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"]
    return {name: stage["outs"][0]["md5"] for name, stage in stages.items()}


def finetunes(cluster: StandIn) -> dict[str, Any]:
    """By the stage that each one runs."""
    return {one["spec"]["run"]["stages"][0]: one for one in cluster.list("finetunes")}


def test_each_stage_ran_as_a_job_and_dvcs_hashes_are_the_jobs_own(project: Garden, cluster: StandIn) -> None:
    ran = finetunes(cluster)
    assert ran.keys() == ON_CLUSTER.keys()
    hashes = locked(project)
    for stage, found in ran.items():
        assert found["status"]["phase"] == "Succeeded"
        assert found["status"]["stages"][0]["out"] == hashes[stage]
        assert found["metadata"]["name"].startswith(f"tiny-{stage}-")
        assert (project.folder / "artifacts" / ON_CLUSTER[stage] / "manifest.json").is_file()


def test_nothing_that_is_done_runs_again(project: Garden, cluster: StandIn) -> None:
    before = len(cluster.list("jobs"))
    done = run(project, cluster, "dvc", "repro")
    assert re.findall(r"Running stage '(\w+)'", done.stdout) == []
    assert len(cluster.list("jobs")) == before


def test_another_clone_pulls_it_all_without_a_push(project: Garden, cluster: StandIn, tmp_path: Path) -> None:
    for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
        shutil.copy(project.folder / name, tmp_path)
    clone = Garden(tmp_path, project.warm)
    assert run(clone, cluster, "dvc", "init", "--no-scm", "-q").returncode == 0
    assert run(clone, cluster, "serin", "storage").returncode == 0
    pulled = run(clone, cluster, "dvc", "pull", *(f"artifacts/{out}" for out in ON_CLUSTER.values()))
    assert pulled.returncode == 0, pulled.stderr
    weights = Path("artifacts/adapter/adapter_model.safetensors")
    assert (tmp_path / weights).read_bytes() == (project.folder / weights).read_bytes()


def test_an_output_that_was_lost_comes_back_without_another_job(project: Garden, cluster: StandIn) -> None:
    before = [job["metadata"]["uid"] for job in cluster.list("jobs")]
    hashes = locked(project)
    shutil.rmtree(project.folder / "artifacts/adapter")
    done = run(project, cluster, "serin", "train")
    assert done.returncode == 0, done.stderr
    assert "was there already" in done.stderr
    assert [job["metadata"]["uid"] for job in cluster.list("jobs")] == before
    status = run(project, cluster, "dvc", "status", "train")
    assert "artifacts/adapter" not in status.stdout
    assert locked(project) == hashes


def test_the_log_of_a_pod_that_is_gone_is_shown_whole(project: Garden, cluster: StandIn) -> None:
    assert project.folder.exists()
    found = finetunes(cluster)["train"]["metadata"]["name"]
    pods = cluster.list("pods", finetune=found)
    printed = cluster.pods.log(cluster.namespace, pods[0]["metadata"]["name"])
    shown = run(project, cluster, "serin", "job", "logs", found)
    assert shown.stdout.encode() == printed
    cluster.registry.delete(cluster.resource("pods"), cluster.namespace, pods[0]["metadata"]["name"], grace_s=0)
    assert cluster.list("pods", finetune=found) == []
    assert run(project, cluster, "serin", "job", "logs", found).stdout.encode() == printed


@pytest.mark.parametrize(
    ("verb", "option"),
    [("train", "--fresh"), ("merge", "--no-adapter"), ("evaluate", "--model=x"), ("publish", "--no-evaluation")],
)
def test_options_of_this_machine_alone_are_refused(project: Garden, cluster: StandIn, verb: str, option: str) -> None:
    done = run(project, cluster, "serin", verb, option)
    assert done.returncode == 2
    assert f"{option.partition('=')[0]}: only where the stage runs on this machine" in done.stderr


def test_a_gate_that_says_no_ends_the_command_with_3_after_the_evaluation_came_back(
    project: Garden, cluster: StandIn
) -> None:
    path = project.folder / "params.yaml"
    text = path.read_text()
    params = yaml.safe_load(text)
    params["evaluate"]["rules"] = [{"metric": "token_f1", "over": "base", "above": 0.99}]
    path.write_text(yaml.safe_dump(params))
    try:
        out = ["--out", "artifacts/other"]
        done = run(project, cluster, "serin", "evaluate", "--gate", *out)
        assert done.returncode == 3, done.stderr
        assert "token_f1 gain" in done.stderr
        assert (project.folder / "artifacts/other/verdict.json").is_file()
        assert run(project, cluster, "serin", "evaluate", *out).returncode == 0
    finally:
        path.write_text(text)
