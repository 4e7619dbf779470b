"""Garbage collection: nothing that anything may need goes."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serin.clients.serving_state import Declared, FolderState
from serin.core.errors import InputError
from serin.core.revision import Revision
from serin.publish.removal.collect import Plan, References, decide, plan, remove
from serin.publish.removal.served import state_folders
from serin.publish.removal.stored import StoredModel, stored_models

from ..outputs import Project

NOW = datetime(2026, 11, 25, tzinfo=UTC)
WEEK = timedelta(days=7)
A, B, C = (Revision("law", letter * 64) for letter in "abc")


def model(revision: Revision, days: float) -> StoredModel:
    return StoredModel(revision, 3, 100, NOW - timedelta(days=days), True)


def collected(project: Project, days: float = 0.0, grace: timedelta = timedelta(0)) -> Plan:
    now = datetime.now(UTC) + timedelta(days=days, seconds=1)
    return plan(project.storage, project.folder, state_folders(project.folder), False, now, grace)


def test_what_nothing_refers_to_goes_once_it_is_old() -> None:
    found = decide([model(A, 8), model(B, 6), model(C, 8)], References({C: "published"}, ()), NOW, WEEK)
    assert [m.revision for m in found.removed] == [A]
    assert found.size_bytes == 100
    assert list(found.kept.values()) == ["written 6.0 days ago, and the grace period is 7.0 days", "published"]


@pytest.mark.parametrize("holder", ["published", "pointer", "serving"])
def test_whatever_refers_to_it_keeps_it(tmp_path: Path, holder: str) -> None:
    project = Project(tmp_path)
    if holder == "published":
        project.publish()
    if holder == "serving":
        state = FolderState(tmp_path / ".serin/serve")
        state.change_topology(lambda topology: topology.with_revision(str(project.revision), Declared("models/law")))
    if holder != "pointer":
        (project.outputs.merged / "pointer.json").unlink()
    assert collected(project, days=400).removed == ()


def test_what_is_left_of_a_killed_merge_stays_for_the_grace_period_and_then_goes(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (project.outputs.merged / "pointer.json").unlink()
    project.storage.delete([f"{project.prefix}/manifest.json"])
    assert collected(project, days=6, grace=WEEK).removed == ()
    found = collected(project, days=8, grace=WEEK)
    assert [(m.revision, m.is_complete) for m in found.removed] == [(project.revision, False)]
    remove(found, project.storage, despite_doubts=False)
    assert project.storage.list("models/") == []


def test_its_age_is_that_of_its_newest_file(tmp_path: Path) -> None:
    project = Project(tmp_path)
    old = (datetime.now(UTC) - timedelta(days=30)).timestamp()
    os.utime(tmp_path / ".serin/storage" / project.prefix / "model.safetensors", (old, old))
    (found,) = stored_models(project.storage)
    assert datetime.now(UTC) - found.newest < timedelta(hours=1)


def test_what_is_not_a_models_folder_is_left_alone(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (project.outputs.merged / "pointer.json").unlink()
    project.storage.write("models/law/notes.txt", b"mine")
    project.storage.write("models/readme", b"mine")
    remove(collected(project, days=400), project.storage, despite_doubts=False)
    assert project.storage.list("models/") == ["models/law/notes.txt", "models/readme"]


def test_in_doubt_nothing_goes(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (project.outputs.merged / "pointer.json").write_text("{")
    found = collected(project, days=400)
    assert [m.revision for m in found.removed] == [project.revision]
    with pytest.raises(InputError, match=r"nothing was removed.*artifacts/merged/pointer\.json.*--despite-doubts"):
        remove(found, project.storage, despite_doubts=False)
    assert project.storage.list(f"{project.prefix}/")
    remove(found, project.storage, despite_doubts=True)
    assert project.storage.list("models/") == []


def test_a_damaged_serving_state_stops_it(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (tmp_path / ".serin/serve").mkdir(parents=True)
    (tmp_path / ".serin/serve/topology.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(InputError, match=r"topology\.json is damaged"):
        collected(project)


def test_what_was_published_after_the_plan_stays(tmp_path: Path) -> None:
    project = Project(tmp_path)
    pointer = (project.outputs.merged / "pointer.json").read_bytes()
    (project.outputs.merged / "pointer.json").unlink()
    found = collected(project, days=400)
    (project.outputs.merged / "pointer.json").write_bytes(pointer)
    project.publish()
    remove(found, project.storage, despite_doubts=False)
    assert project.storage.list(f"{project.prefix}/")
