import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from serin.cli.job import command
from serin.clients.kubernetes import Cluster, open_cluster
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.clients.storage import FolderStorage
from serin.core.errors import SerinError
from serin.core.task import log_prefix

from ...cluster.standin import StandIn


class Shell:
    """A user at a shell, in a folder without a project."""

    def __init__(self, standin: StandIn, folder: Path) -> None:
        self.standin = standin
        self.folder = folder
        self.environment = {"KUBECONFIG": str(standin.kubeconfig)}
        self.cluster: Cluster = open_cluster(None, None, self.environment)

    def serin(self, *arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(command, arguments, input=answer, env=self.environment)

    def refused(self, *arguments: str) -> SerinError:
        error = self.serin(*arguments).exception
        assert isinstance(error, SerinError), error
        return error

    def manifest(self, name: str = "law", **placement: Any) -> Path:
        run = {
            "stages": ["train"],
            "inputs": {word: f"{digit * 32}.dir" for word, digit in (("base", "a"), ("dataset", "b"))},
            "params": {"storage": {"url": "s3://serin/law"}},
            "placement": {"image": "registry.example/train:1", **placement},
        }
        body = {"apiVersion": FINE_TUNES.api_version, "kind": FINE_TUNES.kind, "metadata": {"name": name}}
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(body | {"spec": {"run": run}}))
        return path

    def report(self, name: str = "law", **status: Any) -> None:
        """As a controller does."""
        self.cluster.apply_status(FINE_TUNES, name, {"status": status}, "a test")

    def get(self, name: str = "law") -> Any:
        return self.cluster.get(FINE_TUNES, name)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("NO_PROXY", ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])))
    monkeypatch.chdir(tmp_path)
    with StandIn(auto=False) as standin:
        yield Shell(standin, tmp_path)


def test_a_manifest_is_submitted_once(shell: Shell) -> None:
    path = str(shell.manifest())
    assert shell.serin("submit", "-f", path).output == "law is submitted in serin\nnext: serin job follow law\n"
    assert "was there already" in shell.serin("submit", "-f", path).output
    assert shell.get()["spec"]["run"]["placement"]["image"] == "registry.example/train:1"


def test_one_that_failed_is_not_taken_for_a_new_one(shell: Shell) -> None:
    shell.serin("submit", "-f", str(shell.manifest()))
    shell.report(phase="Failed", exitCode=78)
    assert "'serin job delete law', and submit it again" in shell.serin("submit", "-f", str(shell.manifest())).output


def test_another_run_of_that_name_is_refused(shell: Shell) -> None:
    shell.serin("submit", "-f", str(shell.manifest()))
    error = shell.refused("submit", "-f", str(shell.manifest(queue="gpus")))
    assert error.exit_code == 2
    assert "spec.run never changes" in str(error)


def test_a_dry_run_prints_what_the_server_would_store_and_stores_nothing(shell: Shell) -> None:
    printed = yaml.safe_load(shell.serin("submit", "-f", str(shell.manifest()), "--dry-run").output)
    assert printed["metadata"]["namespace"] == "serin"
    assert printed["spec"]["run"]["placement"]["image"] == "registry.example/train:1"
    assert shell.get() is None


def test_render_needs_no_cluster(shell: Shell) -> None:
    shell.environment["KUBECONFIG"] = "/nowhere"
    done = shell.serin("render", str(shell.manifest(queue="gpus")), "--namespace", "team")
    job = yaml.safe_load(done.output)
    assert (job["kind"], job["metadata"]["namespace"]) == ("Job", "team")
    assert job["metadata"]["name"] == "law-train-00000000"
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert not shell.standin.calls


def test_runs_are_listed_with_what_they_took(shell: Shell) -> None:
    for name in ("law", "tax"):
        shell.serin("submit", "-f", str(shell.manifest(name, queue="gpus")))
    shell.report("tax", phase="Running", stage="train", step=3, steps=9, loss=0.5, gpuSeconds=90.0)
    header, *rows = [line.split() for line in shell.serin("list").output.splitlines()]
    assert header == ["NAME", "PHASE", "STAGE", "STEP", "LOSS", "GPU", "TIME", "QUEUE", "AGE"]
    assert {row[0]: row[1:-1] for row in rows} == {
        "law": ["Unseen", "-", "-", "-", "-", "gpus"],
        "tax": ["Running", "train", "3/9", "0.500", "1m30s", "gpus"],
    }
    assert {one["metadata"]["name"] for one in json.loads(shell.serin("list", "--json").output)} == {"law", "tax"}


def test_an_empty_namespace_says_how_to_begin(shell: Shell) -> None:
    assert "no FineTune is in serin: 'serin job submit'" in shell.serin("list").output


def test_the_status_says_why_it_waits(shell: Shell) -> None:
    shell.serin("submit", "-f", str(shell.manifest()))
    waits = {
        "type": "Running",
        "status": "False",
        "reason": "Unschedulable",
        "message": "1 node is short of nvidia.com/gpu",
        "lastTransitionTime": "2026-03-01T00:00:00Z",
    }
    shell.report(phase="Pending", stage="train", conditions=[waits])
    output = shell.serin("status", "law").output
    assert "law: pending in train" in output
    assert "not running: Unschedulable: 1 node is short of nvidia.com/gpu" in output


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"phase": "Succeeded", "exitCode": 0}, 0),
        ({"phase": "Failed", "exitCode": 1}, 1),
        ({"phase": "Failed", "exitCode": 3}, 3),
        ({"phase": "Failed", "exitCode": 78}, 78),
    ],
)
def test_follow_ends_with_the_runs_own_exit_code(shell: Shell, status: dict[str, Any], code: int) -> None:
    shell.serin("submit", "-f", str(shell.manifest()))
    shell.report(**status)
    assert shell.serin("follow", "law").exit_code == code
    assert shell.serin("submit", "-f", str(shell.manifest()), "--follow").exit_code == code


def test_ctrl_c_leaves_the_run_and_says_how_to_come_back(shell: Shell) -> None:
    shell.serin("submit", "-f", str(shell.manifest()))
    shell.report(phase="Running", stage="train", step=3, steps=9)
    follower = subprocess.Popen(
        [sys.executable, "-m", "serin", "job", "follow", "law"],
        env={**os.environ, **shell.environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert follower.stderr is not None
    assert "step 3/9" in follower.stderr.readline()
    follower.send_signal(signal.SIGINT)
    _, said = follower.communicate(timeout=30)
    assert follower.returncode == 130
    assert "law goes on without you: 'serin job follow law' comes back to it" in said
    assert shell.get()["spec"]["suspend"] is False


def test_stop_and_resume_set_suspend(shell: Shell) -> None:
    shell.serin("submit", "-f", str(shell.manifest()))
    assert "stops after saving a checkpoint" in shell.serin("stop", "law").output
    assert shell.get()["spec"]["suspend"] is True
    assert "goes on from its newest checkpoint" in shell.serin("resume", "law").output
    assert shell.get()["spec"]["suspend"] is False


def test_delete_asks_and_says_what_stays(shell: Shell) -> None:
    shell.serin("submit", "-f", str(shell.manifest()))
    asked = shell.serin("delete", "law", answer="n\n")
    assert asked.exit_code == 1
    assert "results, logs and checkpoints stay in s3://serin/law" in asked.output
    assert shell.get() is not None
    assert "law is deleted" in shell.serin("delete", "law", "--yes").output
    assert shell.get() is None


@pytest.mark.parametrize("verb", ["status", "follow", "logs", "stop", "resume", "delete"])
def test_a_name_that_is_not_there_is_said_to_be_so(shell: Shell, verb: str) -> None:
    assert "lwa is not in serin" in str(shell.refused(verb, "lwa"))


def test_the_log_of_a_run_that_was_deleted_is_still_there(shell: Shell) -> None:
    (shell.folder / "params.yaml").write_text("storage: {url: stored}\n")
    storage = FolderStorage(shell.folder / "stored")
    for run, text in (("law-00000001", b"old\n"), ("law-00000002", b"new\n"), ("law-2-00000003", b"another\n")):
        storage.write(f"{log_prefix(f'runs/serin/{run}/train', 'p1')}/00001.log", text)
        written = {"00000001": 1, "00000002": 3, "00000003": 9}[run[-8:]]
        for path in (shell.folder / "stored").rglob(f"{run}/**/*.log"):
            os.utime(path, (written, written))
    done = shell.serin("logs", "law")
    assert done.stdout == "new\n"
    assert "law was deleted" in done.stderr


def test_a_namespace_can_be_named(shell: Shell) -> None:
    shell.serin("submit", "-f", str(shell.manifest()), "--namespace", "default")
    assert shell.get() is None
    assert "law" in shell.serin("list", "--namespace", "default").output


def test_params_of_a_project_name_the_namespace(shell: Shell) -> None:
    (shell.folder / "params.yaml").write_text("kubernetes: {image: 'i:1', namespace: default}\n")
    assert "no FineTune is in default" in shell.serin("list").output


def test_a_project_whose_data_is_not_there_is_not_submitted(shell: Shell) -> None:
    (shell.folder / "params.yaml").write_text("storage: {url: 's3://serin/law'}\nkubernetes: {image: 'i:1'}\n")
    assert "run 'serin base'" in str(shell.refused("submit"))
    assert "run 'serin base'" in str(shell.refused("render"))


def test_a_project_without_a_cluster_is_told_what_is_missing(shell: Shell) -> None:
    (shell.folder / "params.yaml").write_text("storage: {url: 's3://serin/law'}\n")
    assert "kubernetes: missing" in str(shell.refused("submit"))


@pytest.mark.parametrize("arguments", [("status", "Bad/Name"), ("list", "-n", "not.a.label"), ("follow", "LAW")])
def test_what_cannot_be_a_name_is_refused_before_the_cluster_is_asked(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell.serin(*arguments)
    assert done.exit_code == 2
    assert f"'{arguments[-1]}' is no name: " in done.output
    assert not shell.standin.calls


@pytest.mark.parametrize("verb", ["list", "follow", "status", "submit"])
def test_a_cluster_without_the_crds_is_told_how_to_get_them(shell: Shell, verb: str) -> None:
    with StandIn(auto=False, crds=[]) as bare:
        shell.environment = {"KUBECONFIG": str(bare.kubeconfig)}
        arguments = {"list": [], "submit": ["-f", str(shell.manifest())]}.get(verb, ["law"])
        error = shell.refused(verb, *arguments)
    assert error.exit_code == 78
    assert "its CRD is not installed in this cluster: apply k8s/base/crds" in str(error)


def test_a_namespace_that_is_not_there_is_named(shell: Shell) -> None:
    error = shell.refused("submit", "-f", str(shell.manifest()), "-n", "nope")
    assert error.exit_code == 1
    assert 'namespaces "nope" not found' in str(error)
    assert "CRD" not in str(error)


def test_what_is_stopped_or_goes_on_already_is_said_to_be_so(shell: Shell) -> None:
    shell.serin("submit", "-f", str(shell.manifest()))
    assert shell.serin("resume", "law").output == "law is not suspended: there is nothing to resume\n"
    shell.serin("stop", "law")
    assert shell.serin("stop", "law").output == "law is suspended already\n"


def test_who_may_do_nothing_is_told_what_is_forbidden(shell: Shell) -> None:
    shell.environment = {"KUBECONFIG": str(shell.standin.kubeconfig_of("nobody", []))}
    error = shell.refused("list")
    assert error.exit_code == 78
    assert 'cannot list resource "finetunes"' in str(error)


def test_a_name_may_have_dots(shell: Shell) -> None:
    shell.serin("submit", "-f", str(shell.manifest("law.v1")))
    assert "law.v1: unseen" in shell.serin("status", "law.v1").output
