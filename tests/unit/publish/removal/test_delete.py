"""Deleting a revision: what is refused, what goes, what stays known."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serin.clients.serving_state import Declared, FolderState
from serin.clients.storage import FolderStorage
from serin.core.errors import GateError, InputError
from serin.publish.registry.find import published
from serin.publish.registry.names import change_names, read_names
from serin.publish.removal.collect import plan as gc_plan
from serin.publish.removal.collect import remove
from serin.publish.removal.delete import execute, plan
from serin.publish.removal.served import state_folders

from ..outputs import Project

AT = "2026-11-25T12:00:00+00:00"
LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.publish()
    return project


def test_a_plan_says_what_would_go_and_writes_nothing(project: Project) -> None:
    before = project.storage.list("")
    deletion = plan(project.revision, project.storage, project.folder, [])
    assert (deletion.files, deletion.held_by) == (3, ())
    assert deletion.size_bytes == sum(size for _, size in project.storage.sizes(project.prefix))
    assert project.storage.list("") == before


def test_what_nothing_holds_goes_and_its_evidence_stays(project: Project) -> None:
    execute(plan(project.revision, project.storage, project.folder, []), project.storage, project.folder, None, AT)
    assert published(project.storage) == []
    assert project.storage.list("models/") == []
    assert any(key.endswith("/README.md") for key in project.storage.list("lineage/"))


@pytest.mark.parametrize("holder", ["stage", "stable", "canary", "deployed"])
def test_what_is_needed_is_refused_unless_there_is_a_reason(project: Project, holder: str) -> None:
    revision = str(project.revision)
    state = FolderState(project.folder / ".serin/demo/serve")
    if holder == "stage":
        change_names(project.storage, "law", lambda names: names.with_stage("production", project.revision.digest, AT))
    else:
        state.change_topology(lambda topology: topology.with_revision(revision, Declared("models/law")))
    if holder in ("stable", "canary"):
        state.change_weights(lambda weights: replace(weights, **{holder: revision}))
    deletion = plan(project.revision, project.storage, project.folder, state_folders(project.folder))
    with pytest.raises(GateError, match=rf"still needed \(.*{'production' if holder == 'stage' else holder}"):
        execute(deletion, project.storage, project.folder, None, AT)
    assert published(project.storage) == [project.revision]
    execute(deletion, project.storage, project.folder, "it leaks names", AT)
    assert published(project.storage) == []
    assert read_names(project.storage, "law").stages == {}


class Killed(BaseException):
    """The process ends here."""


class Mortal(FolderStorage):
    """Dies before its nth change."""

    left = 0

    def _step(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def write(self, key: str, data: bytes) -> None:
        self._step()
        super().write(key, data)

    def delete(self, keys: Iterable[str]) -> None:
        self._step()
        super().delete(keys)

    def remove_folder(self, prefix: str, first: str) -> None:
        self._step()
        super().remove_folder(prefix, first)


@pytest.mark.parametrize("changes", range(3))
def test_killed_anywhere_it_is_visible_and_whole_or_not_visible(project: Project, changes: int) -> None:
    storage = Mortal(project.folder / ".serin/storage")
    storage.left = changes
    with pytest.raises(Killed):
        execute(plan(project.revision, storage, project.folder, []), storage, project.folder, None, AT)
    if published(project.storage):
        project.publish()  # verifies every byte
    else:
        # The pointer of this folder would keep the bytes.
        (project.outputs.merged / "pointer.json").unlink()
        remove(gc_plan(project.storage, project.folder, [], False, LATER, timedelta(0)), project.storage, False)
        assert project.storage.list("models/") == []


def test_deleted_and_published_again_it_is_there_again(project: Project) -> None:
    execute(plan(project.revision, project.storage, project.folder, []), project.storage, project.folder, None, AT)
    with pytest.raises(InputError, match="run 'serin merge' again"):
        project.publish()
    project.merge(b"weights")
    project.publish()
    assert published(project.storage) == [project.revision]
