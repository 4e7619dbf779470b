"""Publishing: what becomes visible, what is refused, and what is kept."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from serin.clients.files import read_json, read_manifest
from serin.core.errors import GateError, InputError
from serin.core.revision import Revision
from serin.serve.topology.published import find_published

from .outputs import NOON, Project

OTHER = Revision("law", "f" * 64)
REASON = "the first stable model"


def visible(project: Project) -> list[str]:
    return project.storage.list("published/")


def test_a_passing_verdict_makes_it_visible_to_serving(project: Project) -> None:
    record = project.publish()
    found = find_published(project.storage, Revision("law", project.revision.digest[:8]))
    assert (found.revision, found.prefix) == (project.revision, project.prefix)
    assert found.lineage == project.inputs
    assert record.override is None
    assert record.verdict is not None
    assert record.verdict["passed"]


def test_what_dvc_tracks_says_nothing_of_the_day(project: Project) -> None:
    project.publish(now=NOON)
    first = read_manifest(project.folder / "artifacts/published", "published", verify=True)
    project.publish(now=NOON + timedelta(days=3))
    assert read_manifest(project.folder / "artifacts/published", "published") == first
    assert read_json(project.folder / "artifacts/published/published.json")["digest"] == project.revision.digest


def test_the_same_again_changes_nothing_in_storage(project: Project) -> None:
    project.publish(now=NOON)
    before = {key: project.storage.read(key) for key in project.storage.list("")}
    project.publish(now=NOON + timedelta(hours=1))
    assert {key: project.storage.read(key) for key in project.storage.list("")} == before


def test_something_new_about_the_same_model_is_kept_on_top_of_what_was_said(project: Project) -> None:
    project.publish(evaluation=False, override=REASON)
    project.publish(now=NOON + timedelta(hours=1))
    record = project.record()
    assert record["override"] is None
    assert [entry["override"] for entry in record["history"]] == [REASON]
    assert record["history"][0]["published"]["at"] == "2026-11-25T12:00:00+00:00"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("none", "has no verdict"),
        ("failed", r"over base in all: -0\.100, and has to be above 0\.000, missed by 0\.100"),
        ("another digest", "the verdict is about 000000000000"),
    ],
)
def test_without_its_own_passing_verdict_nothing_is_visible(project: Project, case: str, words: str) -> None:
    project.evaluate(passed=case != "failed", digest="0" * 64 if case == "another digest" else None)
    with pytest.raises(GateError, match=words):
        project.publish(evaluation=case != "none")
    assert visible(project) == []
    assert not (project.folder / "artifacts/published").exists()


def test_a_verdict_that_somebody_edited_counts_for_nothing(project: Project) -> None:
    project.evaluate(passed=False)
    path = project.folder / "artifacts/evaluation/verdict.json"
    path.write_text(path.read_text().replace('"passed": false', '"passed": true'))
    with pytest.raises(InputError, match=r"verdict\.json differ"):
        project.publish()


def test_an_override_is_kept_with_its_reason(project: Project) -> None:
    project.evaluate(passed=False)
    project.publish(override=REASON)
    assert project.record()["override"] == REASON
    manifest = read_manifest(project.folder / "artifacts/published", "published")
    assert manifest.lineage == {"override": REASON}


def test_an_override_that_was_not_needed_is_not_held_against_it(project: Project) -> None:
    assert project.publish(override=REASON).override is None


@pytest.mark.parametrize("damage", ["changed", "missing", "too many", "manifest gone"])
def test_damaged_bytes_in_storage_are_never_published(project: Project, damage: str) -> None:
    if damage == "changed":
        project.storage.write(f"{project.prefix}/parts/config.json", b"[]")
    elif damage == "too many":
        project.storage.write(f"{project.prefix}/more.bin", b"")
    else:
        name = "model.safetensors" if damage == "missing" else "manifest.json"
        project.storage.delete([f"{project.prefix}/{name}"])
    with pytest.raises(InputError, match="run 'serin merge' again"):
        project.publish(override=REASON)
    assert visible(project) == []


def test_bytes_of_another_model_under_its_name_are_never_published(project: Project) -> None:
    first, prefix = project.revision, project.prefix
    other = project.merge(b"others")
    for key in project.storage.list(f"{prefix}/"):
        project.storage.write(key, project.storage.read(key.replace(first.digest, other.digest)))
    pointer = project.outputs.merged / "pointer.json"
    pointer.write_text(pointer.read_text().replace(other.digest, first.digest))
    with pytest.raises(InputError, match=f"holds {other.digest[:12]}, expected {first.digest[:12]}"):
        project.publish(evaluation=False, override=REASON)


@pytest.mark.parametrize("part", ["adapter", "dataset", "base"])
def test_outputs_that_the_model_was_not_made_from_are_refused(project: Project, part: str, tmp_path: Path) -> None:
    other = Project(tmp_path / "other")
    folder = getattr(other.outputs, part)
    if part == "base":
        told = (folder / "base.json").read_text()
        (folder / "base.json").write_text(told.replace(other.inputs["base"], "0" * 64))
    else:
        shutil.rmtree(folder)
    target = getattr(project.outputs, part)
    shutil.rmtree(target)
    if part == "base":
        shutil.copytree(folder, target)
    with pytest.raises(InputError, match=f"--{part}"):
        project.publish()
    assert visible(project) == []


class TestProduction:
    """The verdict's reference has to be what is in production."""

    @pytest.fixture
    def stored(self, project: Project) -> Project:
        """``OTHER`` is in production."""
        project.storage.write("registry/law.json", b'{"stages": {"production": "%s"}}' % OTHER.digest.encode())
        return project

    @pytest.mark.parametrize("against", [None, Revision("law", "e" * 64)])
    def test_a_verdict_against_something_else_is_out_of_date(self, stored: Project, against: Revision | None) -> None:
        stored.evaluate(against=against)
        with pytest.raises(GateError, match=r"ffff is in production now: run\s+'serin evaluate --pin production'"):
            stored.publish()
        assert visible(stored) == []

    def test_a_verdict_against_it_counts(self, stored: Project) -> None:
        stored.evaluate(against=OTHER)
        assert stored.publish().override is None

    def test_an_override_tells_why_an_old_verdict_was_enough(self, stored: Project) -> None:
        assert stored.publish(override=REASON).override == REASON

    def test_what_was_let_pass_stays_so_when_production_moves_on(self, project: Project) -> None:
        project.publish()
        project.storage.write("registry/law.json", b'{"stages": {"production": "%s"}}' % OTHER.digest.encode())
        project.publish()

    def test_production_itself_may_be_published_again(self, project: Project) -> None:
        digest = project.revision.digest.encode()
        project.storage.write("registry/law.json", b'{"stages": {"production": "%s"}}' % digest)
        project.publish()
