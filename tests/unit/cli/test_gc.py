"""The command line of ``serin gc``: it shows, asks, and only then removes."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from serin.cli.gc import command
from serin.clients.evidence.folder import FolderWriter
from serin.clients.evidence.shipped import StorageWriter
from serin.clients.serving_state import FolderState

from ..publish.outputs import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two models: one published, and an older one that nothing refers to."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("{}\n")
    project = Project(tmp_path)
    project.merge(b"published")
    project.evaluate()
    project.publish()
    return project


def gc(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=answer, catch_exceptions=False)


def models(project: Project) -> int:
    return len({key.split("/")[2] for key in project.storage.list("models/")})


def test_young_bytes_stay(project: Project) -> None:
    assert "the grace period is 7.0 days" in gc("--force").stdout
    assert models(project) == 2


def test_a_dry_run_shows_and_keeps(project: Project) -> None:
    done = gc("--grace-days", "0", "--dry-run", "--force")
    shown = done.stdout
    assert f"keep    {project.revision}" in shown
    assert shown.count("remove  law@") == 1
    assert "what other commits point to is not seen" in done.stderr
    assert models(project) == 2


@pytest.mark.parametrize(("answer", "left"), [("y\n", 1), ("n\n", 2)])
def test_it_asks_before_it_removes(project: Project, answer: str, left: int) -> None:
    done = gc("--grace-days", "0", answer=answer)
    assert "Remove 1 model for good?" in done.stdout
    assert models(project) == left
    assert done.exit_code == (0 if left == 1 else 1)


def test_with_force_it_does_not_ask(project: Project) -> None:
    assert "removed 1 model," in gc("--grace-days", "0", "--force").stdout
    project.publish()  # verifies every byte of what is left
    assert "nothing to remove" in gc("--grace-days", "0", "--force").stdout


@pytest.mark.usefixtures("project")
def test_old_evidence_of_this_machine_goes_too() -> None:
    gc("--grace-days", "0", "--force")
    state = FolderState(Path(".serin/serve"))
    state.change_topology(lambda topology: topology)
    for replica in ("old", "young"):
        writer = FolderWriter(state.evidence_path(replica))
        writer.append({"n": 0})
        writer.close()
    os.utime(state.evidence_path("old"), (1e9, 1e9))
    assert f"in {state.name} until" in gc("--dry-run").stdout
    assert "removed 1 object of evidence," in gc("--force").stdout
    assert [path.name for path in state.evidence_folder.iterdir()] == ["young.jsonl"]


def test_old_evidence_goes_too_and_what_was_captured_stays(project: Project) -> None:
    gc("--grace-days", "0", "--force")
    project.storage.write("captured/2026-01-01/a.parquet", b"rows")
    writer = StorageWriter(project.storage, "gateway", ship_s=1e6)
    writer.append({"n": 0})
    writer.close()
    assert "nothing to remove" in gc("--grace-days", "0", "--force").stdout, "not within a day, whatever is asked for"
    keys = project.storage.list("rollouts/evidence/")
    assert len(keys) == 2
    for key in keys:
        os.utime(Path(".serin/storage") / key, (1e9, 1e9))
    assert "no rollout needs it any more" in gc("--dry-run").stdout
    assert project.storage.list("rollouts/evidence/") == keys
    assert "removed 2 objects of evidence," in gc("--force").stdout
    assert project.storage.list("rollouts/") == []
    assert project.storage.list("captured/") == ["captured/2026-01-01/a.parquet"]
