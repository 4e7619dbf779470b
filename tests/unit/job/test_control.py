import pytest

from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.core.errors import InputError, UsageError
from serin.job.control import delete, find, list_finetunes, suspend

from .conftest import Project


def suspended(project: Project) -> bool:
    found = project.cluster.get(FINE_TUNES, "law")
    assert found is not None
    return bool(found["spec"]["suspend"])


def test_the_newest_run_stands_first(project: Project) -> None:
    for name in ("law-a", "law-b"):
        project.submit(name)
        project.standin.clock.advance(5)
    assert [one["metadata"]["name"] for one in list_finetunes(project.cluster)] == ["law-b", "law-a"]


def test_a_stopped_run_goes_on_after_resume(project: Project) -> None:
    project.submit()
    assert "serin job resume law" in suspend(project.cluster, "law", stop=True)
    assert suspended(project)
    assert "already" in suspend(project.cluster, "law", stop=True)
    assert "serin job follow law" in suspend(project.cluster, "law", stop=False)
    assert not suspended(project)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_what_is_over_cannot_be_stopped(project: Project, phase: str) -> None:
    project.submit()
    project.report(phase=phase)
    with pytest.raises(UsageError, match=f"law has {phase.lower()} already: there is nothing to stop"):
        suspend(project.cluster, "law", stop=True)
    assert not suspended(project)


def test_only_the_object_that_was_meant_is_deleted(project: Project) -> None:
    first = project.submit()["metadata"]["uid"]
    delete(project.cluster, "law", first)
    second = project.submit()["metadata"]["uid"]
    with pytest.raises(InputError, match="law is gone from serin"):
        delete(project.cluster, "law", first)
    assert find(project.cluster, "law")["metadata"]["uid"] == second


def test_a_name_that_is_not_there_is_said_to_be_so(project: Project) -> None:
    with pytest.raises(InputError, match="lwa is not in serin"):
        find(project.cluster, "lwa")
