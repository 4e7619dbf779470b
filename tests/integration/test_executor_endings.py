"""``executor: kubernetes`` with the real controller, S3 and pods that end as tests say."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serin.clients.dvc_remote import DvcRemote, key_of
from serin.clients.kubernetes import Cluster, open_cluster
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.clients.storage import open_storage
from serin.core.errors import FinalError
from serin.core.params import Params, parse_params
from serin.job.executor import Order, run_stage
from serin.job.follow import Pace
from serin.job.inputs import content_of
from serin.job.rendering import rendered

from ..cluster.standin import Exit, StandIn, Succeed, Work
from .cluster import controlled

pytestmark = pytest.mark.timeout(300)


class Project:
    """A project whose inputs are there, and a cluster."""

    def __init__(self, standin: StandIn, folder: Path, endpoint: str) -> None:
        self.standin = standin
        self.folder = folder
        self.endpoint = endpoint
        self.cluster: Cluster = open_cluster(None, None, {"KUBECONFIG": str(standin.kubeconfig)})
        self.told: list[str] = []
        for name, more in (
            ("base", {"base.json": {"model": "a/b", "revision": "a" * 40, "folder": None}}),
            ("dataset", {}),
            ("adapter", {}),
        ):
            (folder / name).mkdir()
            for file, value in ({"manifest.json": {"of": f"{folder.name}/{name}"}} | more).items():
                (folder / name / file).write_text(json.dumps(value))
        self.out = folder / "out"

    def params(self, **placement: Any) -> Params:
        """Storage of its own for each project."""
        values = {
            "storage": {"url": f"s3://serin/{self.folder.name}", "endpoint_url": self.endpoint},
            "merge": {"name": "law"},
            "kubernetes": {"image": "registry.example/train:1", **placement},
        }
        return parse_params(values, "params.yaml")

    def run(self, stage: Any = "train", sleep: Callable[[float], None] | None = None, **placement: Any) -> int:
        """As ``serin train`` does."""
        import time

        self.told.clear()
        places: Any = {name: self.folder / name for name in ("base", "dataset", "adapter")}
        order = Order(stage, places, self.out)
        pace = Pace(0.05, sleep or time.sleep)
        return run_stage(self.params(**placement), order, self.cluster, self.told.append, pace)

    @property
    def only(self) -> Any:
        """The one FineTune that there is."""
        (found,) = self.cluster.list(FINE_TUNES)[0]
        return found


@pytest.fixture
def project(s3_endpoint: str, tmp_path: Path) -> Iterator[Project]:
    with StandIn() as standin, controlled(standin):
        yield Project(standin, tmp_path, s3_endpoint)


@pytest.mark.parametrize("code", [2, 3, 78])
def test_the_runs_own_exit_code_comes_back_and_the_old_output_stays(project: Project, code: int) -> None:
    project.out.mkdir()
    (project.out / "manifest.json").write_text("old")
    project.standin.pods.script(Exit(code=code, message="train.lora.r = 0: must be at least 1"))
    assert project.run() == code
    assert (project.out / "manifest.json").read_text() == "old"
    assert "train.lora.r = 0" in project.told[-1]


def test_failures_beyond_the_retries_end_with_1(project: Project) -> None:
    project.standin.pods.script(Exit(code=1, message="CUDA error"))
    assert project.run(retries=0) == 1
    assert "CUDA error" in project.told[-1]


def test_the_output_has_the_jobs_hash(project: Project) -> None:
    assert project.run() == 0
    assert content_of(project.out) == project.only["status"]["stages"][0]["out"]


def test_what_render_prints_is_what_the_controller_created(project: Project) -> None:
    assert project.run(queue=None, retries=1) == 0
    (made,) = project.standin.list("jobs")
    (printed,) = rendered(project.only)
    for part in ("name", "labels", "annotations", "ownerReferences"):
        assert made["metadata"][part] == printed["metadata"][part]
    container = printed["spec"]["template"]["spec"]["containers"][0]
    assert made["spec"]["template"]["spec"]["containers"][0]["env"] == container["env"]


def test_what_failed_is_made_anew(project: Project) -> None:
    project.standin.pods.script(Exit(code=78))
    assert project.run() == 78
    first = project.only["metadata"]
    project.standin.pods.script(Succeed())
    assert project.run() == 0
    second = project.only["metadata"]
    assert (second["name"], second["uid"] == first["uid"]) == (first["name"], False)
    assert any("it is deleted and made anew" in line for line in project.told)


def test_what_ctrl_c_left_is_found_again(project: Project) -> None:
    project.standin.pods.script(Work())

    def interrupted(seconds: float) -> None:  # noqa: ARG001 - stands for sleep
        if project.standin.pods.living():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project.run(sleep=interrupted)
    left = project.only["metadata"]["uid"]

    def released(seconds: float) -> None:
        import time

        project.standin.pods.release()
        time.sleep(seconds)

    assert project.run(sleep=released) == 0
    assert project.only["metadata"]["uid"] == left
    assert len(project.standin.list("jobs")) == 1
    assert (project.out / "manifest.json").is_file()


def test_what_is_done_is_brought_back_without_another_job(project: Project) -> None:
    assert project.run() == 0
    done = project.only["metadata"]["uid"]
    (project.out / "manifest.json").unlink()
    assert project.run() == 0
    assert project.only["metadata"]["uid"] == done
    assert (project.out / "manifest.json").is_file()


def test_what_is_done_and_lost_from_storage_is_made_anew(project: Project) -> None:
    assert project.run() == 0
    done = project.only
    storage = open_storage(project.params().storage)
    storage.delete([key_of(done["status"]["stages"][0]["out"])])
    assert project.run() == 0
    assert project.only["metadata"]["uid"] != done["metadata"]["uid"]


def test_a_merge_whose_model_is_gone_from_storage_is_made_anew(project: Project) -> None:
    assert project.run("merge") == 0
    done = project.only["metadata"]["uid"]
    assert project.run("merge") == 0
    assert project.only["metadata"]["uid"] != done


def test_another_placement_finds_the_run_and_says_that_it_stays_where_it_is(project: Project) -> None:
    assert project.run() == 0
    assert project.run(priority_class="high") == 0
    assert any("it keeps the placement that it was started with" in line for line in project.told)
    assert "priorityClass" not in project.only["spec"]["run"]["placement"]


def test_inputs_are_in_the_remote_before_the_run_begins_and_are_not_sent_twice(project: Project) -> None:
    assert project.run() == 0
    storage = open_storage(project.params().storage)
    remote = DvcRemote(storage)
    inputs = project.only["spec"]["run"]["inputs"]
    assert {name: remote.missing(content) for name, content in inputs.items()} == {"base": [], "dataset": []}
    before = {file.key: file.written for file in storage.files("dvc/")}
    assert project.run() == 0
    assert {file.key: file.written for file in storage.files("dvc/")} == before


def test_a_run_that_is_deleted_meanwhile_is_said_to_be(project: Project) -> None:
    project.standin.pods.script(Work())

    def deleted(seconds: float) -> None:  # noqa: ARG001 - stands for sleep
        if project.standin.pods.living():
            project.cluster.delete(FINE_TUNES, project.only["metadata"]["name"])

    with pytest.raises(FinalError, match="was deleted in serin while it was followed"):
        project.run(sleep=deleted)
    assert not project.out.exists()
