"""Versions and stages in a real repository: git, DVC with its cache and remote, GTO's tags, and Serin's own commands."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from serin.cli import gc, models
from serin.clients.storage import FolderStorage
from serin.core.errors import ConfigError, InputError, UsageError
from serin.core.revision import Revision
from serin.publish.registry.find import published, read_record
from serin.publish.registry.names import read_names
from serin.publish.registry.production import naming, production
from serin.publish.registry.resolve import resolve
from serin.publish.registry.tagging import give
from serin.publish.removal.collect import plan, remove

from ..unit.publish.outputs import Project

AT = "2026-11-25T12:00:00+00:00"
DEEPER_OUTS = ["artifacts/deeper/merged", "artifacts/deeper/published"]
WHO = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


@pytest.fixture(autouse=True)
def _who_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dvc(folder: Path, *arguments: str) -> str:
    return run(folder, sys.executable, "-m", "dvc", *arguments)


def gto(folder: Path, *arguments: str) -> str:
    return run(folder, str(Path(sys.executable).with_name("gto")), *arguments)


def serin(folder: Path, group: click.Command, *arguments: str) -> str:
    """A command as ``serin`` runs it, in this process."""
    with pytest.MonkeyPatch.context() as place:
        place.chdir(folder)
        return CliRunner().invoke(group, arguments, catch_exceptions=False).output


def pipeline() -> str:
    """Merging and publishing as a project's dvc.yaml has them; the merge's work is done by the test."""
    publish = f"{sys.executable} -m serin publish"
    stages = {
        "merge": {
            "cmd": "true # serin merge",
            "outs": [{"artifacts/merged": {"persist": True}}],
            "deps": ["merged.txt"],
        },
        "publish": {
            "cmd": publish,
            "deps": ["artifacts/merged", "artifacts/evaluation"],
            "outs": ["artifacts/published"],
        },
    }
    return yaml.safe_dump({"stages": stages, "artifacts": {"law": {"path": "artifacts/published", "type": "model"}}})


@dataclass
class Repository:
    """A project in git whose models are published by ``dvc repro``."""

    root: Path
    project: Project

    @property
    def folder(self) -> Path:
        return self.project.folder

    @property
    def storage(self) -> FolderStorage:
        return FolderStorage(self.folder / ".serin/storage")

    def release(self, weights: bytes) -> Revision:
        """Merge, evaluate, publish through DVC, commit."""
        revision = self.project.merge(weights)
        self.project.evaluate(against=production("law", self.folder, self.storage))
        (self.folder / "merged.txt").write_bytes(weights)
        dvc(self.folder, "repro", "-q")
        run(self.folder, "git", "add", "-A")
        run(self.folder, "git", "commit", "-qm", f"release {revision}")
        return revision

    def give(
        self, revision: Revision, version: str | None = None, stage: str | None = None, commit: str = "HEAD"
    ) -> None:
        give(revision, version, stage, self.storage, self.folder, commit, AT)

    def production(self) -> Revision | None:
        return production("law", self.folder, self.storage)

    def tags(self) -> list[str]:
        return run(self.root, "git", "tag").split()


def make(root: Path, inside: str) -> Repository:
    folder = root / inside
    folder.mkdir(parents=True, exist_ok=True)
    run(root, "git", "init", "-q", "-b", "main")
    dvc(folder, "init", "-q", *(["--subdir"] if inside else []))
    project = Project(folder)
    (folder / "params.yaml").write_text("merge: {name: law}\n")
    (folder / "dvc.yaml").write_text(pipeline())
    # As the demo has it: a pipeline deeper down, one stage that merges and publishes.
    deeper = {"wdir": "..", "cmd": "true && serin merge && serin publish", "outs": DEEPER_OUTS}
    (folder / "deeper").mkdir()
    (folder / "deeper/dvc.yaml").write_text(yaml.safe_dump({"stages": {"both": deeper}}))
    for out, file in zip(DEEPER_OUTS, ("pointer.json", "published.json"), strict=True):
        (folder / out).mkdir(parents=True)
        told = {"name": "deep", "digest": "d" * 64, "prefix": f"models/deep/{'d' * 64}", "inputs": {}}
        (folder / out / file).write_text(json.dumps(told))
    project.storage.write(f"models/deep/{'d' * 64}/manifest.json", b"{}")
    (folder / ".gitignore").write_text("/artifacts\n/base\n/model\n.serin\n")
    return Repository(root, project)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two releases, the first of them in production as v1.0.0; made once, copied for each test."""
    root = tmp_path_factory.mktemp("models") / "repository"
    with pytest.MonkeyPatch.context() as environment:
        for name, value in WHO.items():
            environment.setenv(name, value)
        repository = make(root, "law")
        dvc(repository.folder, "commit", "-q", "-f", "deeper/dvc.yaml")
        first = repository.release(b"first")
        repository.give(first, "v1.0.0", "production")
        repository.release(b"second")
    return root


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> Repository:
    root = tmp_path / "repository"
    shutil.copytree(made, root, symlinks=True)
    return Repository(root, Project(root / "law"))


def revisions(repository: Repository) -> tuple[Revision, Revision]:
    """The first, which is in production, and the second, which is in this folder."""
    second = repository.project.revision
    (first,) = (r for r in published(repository.storage) if r != second)
    return first, second


def test_dvc_repro_publishes_and_the_tags_are_gtos(repository: Repository) -> None:
    first, _ = revisions(repository)
    assert repository.production() == first
    assert repository.tags() == ["law=law#production#1", "law=law@v1.0.0"]
    assert "v1.0.0" in gto(repository.root, "show")
    shown = run(
        repository.root, sys.executable, "-m", "dvc", "artifacts", "get", ".", "law:law", "--stage", "production"
    )
    assert "published" in shown
    got = json.loads((repository.root / "published/published.json").read_text())
    assert got["digest"] == first.digest


def test_the_record_names_the_commit_and_whether_it_was_changed(repository: Repository) -> None:
    _, second = revisions(repository)
    record = read_record(repository.storage, second)
    commits = run(repository.root, "git", "log", "--format=%H").split()
    assert record.published.commit == commits[1]
    assert record.published.modified


def test_a_stage_moves_on_and_back_again(repository: Repository) -> None:
    first, second = revisions(repository)
    repository.give(second, "v1.1.0", "production")
    assert repository.production() == second
    repository.give(first, stage="production", commit="HEAD~1")
    assert repository.production() == first
    assert repository.tags()[:3] == ["law=law#production#1", "law=law#production#2", "law=law#production#3"]


def test_the_same_again_gives_no_second_tag(repository: Repository) -> None:
    first, _ = revisions(repository)
    before = repository.tags()
    repository.give(first, "v1.0.0", "production")
    assert repository.tags() == before


def test_a_commit_that_published_another_model_gets_no_tag_and_storage_no_name(repository: Repository) -> None:
    first, second = revisions(repository)
    before = read_names(repository.storage, "law")
    with pytest.raises(InputError, match=rf"publishes {second}.*, and not {first}.*name the right one with\s+--commit"):
        repository.give(first, "v3.0.0")
    assert read_names(repository.storage, "law") == before
    assert "law=law@v3.0.0" not in repository.tags()


def test_what_was_not_committed_gets_no_tag(repository: Repository) -> None:
    repository.project.merge(b"third")
    repository.project.evaluate(against=repository.production())
    third = repository.project.publish().revision
    with pytest.raises(InputError, match=r"commit dvc\.lock after 'serin publish'"):
        repository.give(third, "v2.0.0")


def test_a_version_is_given_once(repository: Repository) -> None:
    _, second = revisions(repository)
    with pytest.raises(UsageError, match=r"v1\.0\.0.* already"):
        repository.give(second, "v1.0.0")


def test_a_stage_that_gto_gave_counts_and_storage_follows_when_told(repository: Repository) -> None:
    first, second = revisions(repository)
    gto(repository.root, "assign", "law:law", "HEAD", "--stage", "production")
    with pytest.raises(InputError, match=rf"law#production is {first} in storage, and {second} by git's tags"):
        repository.production()
    repository.give(second, stage="production")
    assert repository.production() == second


def test_gto_alone_is_enough_where_storage_says_nothing(repository: Repository) -> None:
    first, _ = revisions(repository)
    repository.storage.delete(["registry/law.json"])
    assert repository.production() == first
    run(repository.root, "git", "tag", "-d", "law=law#production#1", "law=law@v1.0.0")
    gto(repository.root, "assign", "law:law", "HEAD~1", "--stage", "production")
    assert repository.production() == first


def test_a_clone_without_tags_follows_storage(repository: Repository, tmp_path: Path) -> None:
    first, _ = revisions(repository)
    run(tmp_path, "git", "clone", "-q", "--depth", "1", "--no-tags", f"file://{repository.root}", "clone")
    assert production("law", tmp_path / "clone/law", repository.storage) == first


def test_a_folder_without_git_follows_storage(repository: Repository, tmp_path: Path) -> None:
    first, second = revisions(repository)
    folder = tmp_path / "job"
    folder.mkdir()
    assert production("law", folder, repository.storage) == first
    given = give(second, "v9.0.0", "staging", repository.storage, folder, "HEAD", AT)
    assert (given.in_git, given.tags) == (False, ())
    assert resolve("law#staging", repository.storage, folder) == second


def test_a_jobs_copy_without_git_follows_storage(repository: Repository, tmp_path: Path) -> None:
    shutil.copytree(repository.folder, tmp_path / "job")
    assert production("law", tmp_path / "job", repository.storage) == revisions(repository)[0]


def test_a_tag_whose_commit_dvc_cannot_read_is_said_and_not_guessed(repository: Repository) -> None:
    gto(repository.root, "assign", "law:law", "HEAD", "--stage", "staging")
    shutil.rmtree(repository.folder / ".dvc/cache")
    with pytest.raises(InputError, match="neither in its cache nor in its remote"):
        naming("law", repository.folder, repository.storage)
    # Other stages are still told: Serin's own tags name the revision themselves.
    assert repository.production() == revisions(repository)[0]


def test_a_commit_that_nobody_knows(repository: Repository) -> None:
    with pytest.raises(InputError, match="git knows no commit 'nowhere'"):
        repository.give(revisions(repository)[1], "v4.0.0", commit="nowhere")


def test_git_that_does_not_know_who_tags_is_a_clear_error(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_COMMITTER_NAME", "")
    with pytest.raises(ConfigError, match="git took no tag: Git user name and email must be configured"):
        repository.give(revisions(repository)[1], "v5.0.0")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "a")
    repository.give(revisions(repository)[1], "v5.0.0")  # storage has it already; the tag follows
    assert "law=law@v5.0.0" in repository.tags()


def test_a_branch_keeps_its_models_from_gc_and_a_commit_behind_it_only_on_request(repository: Repository) -> None:
    first, second = revisions(repository)
    for revision in (first, second):
        repository.storage.delete([f"published/law/{revision.digest}.json"])
    run(repository.root, "git", "tag", "-d", *repository.tags())
    later = datetime.now(UTC) + timedelta(days=30)
    shutil.rmtree(repository.folder / "artifacts/deeper")  # what is left is what git and DVC remember

    def removed(all_commits: bool) -> list[Revision]:
        found = plan(repository.storage, repository.folder, [], all_commits, later, timedelta(days=7))
        assert not found.doubts
        assert Revision("deep", "d" * 64) not in [model.revision for model in found.removed]
        return [m.revision for m in found.removed if m.revision in (first, second)]

    assert removed(all_commits=True) == []
    assert removed(all_commits=False) == [first]
    run(repository.root, "git", "branch", "old", "HEAD~1")
    assert removed(all_commits=False) == []


def test_gc_removes_nothing_while_a_pointer_in_history_cannot_be_read(repository: Repository) -> None:
    first, _ = revisions(repository)
    repository.storage.delete([f"published/law/{first.digest}.json"])
    shutil.rmtree(repository.folder / ".dvc/cache")
    later = datetime.now(UTC) + timedelta(days=30)
    found = plan(repository.storage, repository.folder, [], True, later, timedelta(days=7))
    with pytest.raises(InputError, match="nothing was removed"):
        remove(found, repository.storage, despite_doubts=False)
    assert repository.storage.list(f"models/law/{first.digest}/")


def test_the_commands_as_a_person_uses_them(repository: Repository) -> None:
    first, second = revisions(repository)
    folder = repository.folder
    assert "v1.0.0 #production" in serin(folder, models.command, "list")
    assert "git push origin 'law=law@v1.1.0'" in serin(
        folder, models.command, "tag", second.digest[:8], "--version", "v1.1.0"
    )
    assert f"└─ adapter {repository.project.inputs['adapter']}" in serin(folder, models.command, "lineage", str(first))
    assert json.loads(serin(folder, models.command, "diff", "law@v1.0.0", "law@v1.1.0", "--json"))["data"] == {}
    assert serin(folder, models.command, "show", "law#production", "--card").startswith("---\n")
    assert "still needed: its stage is production" in serin(folder, models.command, "delete", "law@v1.0.0", "--dry-run")
    deleted = serin(folder, models.command, "delete", "law#production", "--force", "it leaks names")
    assert "git push origin 'law=law#production!#2'" in deleted
    assert repository.production() is None
    assert "it leaks names" in serin(folder, models.command, "lineage", "law@v1.0.0")
    assert "keep" in serin(folder, gc.command, "--dry-run")
