"""The command line of ``serin publish``."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from serin.cli.publish import command
from serin.core.errors import GateError, UsageError

from ..publish.outputs import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("publish: {license: mit}\n")
    return Project(tmp_path)


def test_it_says_what_was_published_and_an_override_once_more(project: Project) -> None:
    project.evaluate(passed=False)
    arguments = ["--override", "the demo needs a bad model"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.stdout == f"published {project.revision}\n"
    assert "published without a passing verdict: the demo needs a bad model" in done.stderr
    assert "license: mit" in (project.folder / "artifacts/published/README.md").read_text()


@pytest.mark.usefixtures("project")
def test_without_an_evaluation_only_an_override_can_publish() -> None:
    with pytest.raises(GateError, match="has no verdict"):
        CliRunner().invoke(command, ["--no-evaluation"], catch_exceptions=False)


@pytest.mark.usefixtures("project")
def test_a_reason_that_says_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 10 characters"):
        CliRunner().invoke(command, ["--override", "because"], catch_exceptions=False)
