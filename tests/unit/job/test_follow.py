import pytest

from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.core.errors import FinalError
from serin.job.follow import follow
from serin.job.view import exit_code_of

from .conftest import Project


def test_it_ends_with_the_run(project: Project) -> None:
    project.submit()
    pace = project.pace(
        lambda: project.report(phase="Running", stage="train", step=3, steps=9),
        lambda: project.report(phase="Failed", stage="train", exitCode=78),
    )
    ended = follow(project.cluster, "law", project.told.append, pace)
    assert exit_code_of(ended) == 78
    assert project.told == ["train: step 3/9"]
    assert project.waits == [2.0, 2.0]


def test_an_api_server_that_is_away_is_waited_for(project: Project) -> None:
    project.submit()
    faults = project.standin.faults

    def away() -> None:
        faults.add("answer", code=503, verb="get", resource="finetunes", times=3)

    pace = project.pace(away, *[lambda: None] * 3, lambda: project.report(phase="Succeeded"))
    ended = follow(project.cluster, "law", project.told.append, pace)
    assert exit_code_of(ended) == 0
    assert [line.startswith("the cluster") for line in project.told] == [True, True]
    assert "does not answer" in project.told[0]
    assert "answers again" in project.told[1]


def test_what_the_server_asks_for_is_waited(project: Project) -> None:
    project.submit()
    project.standin.faults.add("answer", code=429, verb="get", resource="finetunes", headers={"Retry-After": "7"})
    follow(project.cluster, "law", project.told.append, project.pace(lambda: project.report(phase="Succeeded")))
    assert project.waits == [7.0]


def test_a_name_that_is_not_there_is_no_run(project: Project) -> None:
    with pytest.raises(FinalError, match="lwa is not in serin: 'serin job list'"):
        follow(project.cluster, "lwa", project.told.append, project.pace())


def test_a_run_that_is_deleted_meanwhile_is_said_to_be(project: Project) -> None:
    project.submit()
    pace = project.pace(lambda: project.cluster.delete(FINE_TUNES, "law"))
    with pytest.raises(FinalError, match="law was deleted in serin while it was followed"):
        follow(project.cluster, "law", project.told.append, pace)
