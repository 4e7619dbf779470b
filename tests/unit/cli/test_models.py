"""The command line of ``serin models``: what is printed, and what is asked for."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from serin.cli.models import command
from serin.core.errors import GateError, InputError, UsageError
from serin.publish.registry.find import published

from ..publish.outputs import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("{}\n")
    project = Project(tmp_path)
    project.publish()
    return project


def models(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_the_list_shows_names_verdict_versions_and_stages(project: Project) -> None:
    models("tag", str(project.revision), "--version", "v1.0.0", "--stage", "production")
    assert models("list").stdout == (
        f"law@{project.revision.digest[:12]}  2026-11-25T12:00  passed      v1.0.0 #production\n"
    )
    (row,) = json.loads(models("list", "law", "--json").stdout)
    assert (row["digest"], row["versions"], row["stages"]) == (project.revision.digest, ["v1.0.0"], ["production"])


@pytest.mark.usefixtures("project")
def test_an_empty_list_says_what_to_do() -> None:
    assert models("list", "tax").stderr == "nothing is published as tax: run 'serin publish'\n"


def test_show_tells_what_was_said_before(project: Project) -> None:
    project.evaluate(found=0.7)
    project.publish()
    shown = models("show", project.revision.digest[:8]).stdout
    assert f"from       adapter {project.inputs['adapter']}" in shown
    assert "before     2026-11-25T12:00:00+00:00: passed" in shown
    assert json.loads(models("show", str(project.revision), "--json").stdout)["name"] == "law"


def test_without_git_a_name_stands_in_storage_alone_and_that_is_said(project: Project) -> None:
    done = models("tag", str(project.revision), "--stage", "staging")
    assert done.stdout == f"{project.revision} is #staging\n"
    assert "it stands in storage alone" in done.stderr


def test_a_tag_without_anything_to_give_is_refused(project: Project) -> None:
    with pytest.raises(UsageError, match="--version, a --stage, or both"):
        models("tag", str(project.revision))


def test_delete_shows_first_and_a_dry_run_keeps_everything(project: Project) -> None:
    done = models("delete", str(project.revision), "--dry-run", "--json")
    assert json.loads(done.stdout)["files"] == 3
    assert published(project.storage) == [project.revision]
    models("tag", str(project.revision), "--stage", "production")
    with pytest.raises(GateError, match="its stage is production"):
        models("delete", "law#production")
    assert f"deleted {project.revision}" in models("delete", "law#production", "--force", "never again").stdout
    with pytest.raises(InputError, match="nothing is law#production"):
        models("show", "law#production")
