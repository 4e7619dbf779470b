import pytest

from serin.clients.kubernetes import UnavailableError
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.core.errors import UsageError
from serin.job.submit import check, submit

from .conftest import Project


def test_submitted_again_it_is_the_same_run(project: Project) -> None:
    first, is_new = submit(project.cluster, project.finetune())
    again, is_new_again = submit(project.cluster, project.finetune())
    assert (is_new, is_new_again) == (True, False)
    assert first["metadata"]["uid"] == again["metadata"]["uid"]


def test_another_run_of_the_same_name_is_refused_and_the_first_one_stays(project: Project) -> None:
    submit(project.cluster, project.finetune())
    with pytest.raises(UsageError, match=r"another run: spec\.run never changes"):
        submit(project.cluster, project.finetune(queue="gpus"))
    assert "queue" not in submit(project.cluster, project.finetune())[0]["spec"]["run"]["placement"]


def test_an_answer_that_was_lost_leaves_one_run(project: Project) -> None:
    project.standin.faults.add("reset_after", verb="create", resource="finetunes")
    with pytest.raises(UnavailableError):
        submit(project.cluster, project.finetune())
    _, is_new = submit(project.cluster, project.finetune())
    assert not is_new
    assert len(project.cluster.list(FINE_TUNES)[0]) == 1


def test_a_dry_run_stores_nothing(project: Project) -> None:
    found = check(project.cluster, project.finetune())
    assert found["metadata"]["namespace"] == "serin"
    assert project.cluster.list(FINE_TUNES)[0] == []
