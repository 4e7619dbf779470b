"""What belongs to one FineTune, out of all that the caches know."""

from typing import Any

from serin.clients.kubernetes.kinds import JOB_SETS, JOBS, PODS, WORKLOADS
from serin.controller.jobs import job_name
from serin.controller.loop.caches import Caches
from serin.controller.loop.facts import Facts
from serin.controller.loop.observe import due_stage, end_lags, is_accepted, observe
from serin.controller.observed import Fault, Observed
from serin.core.resources.condition import Condition
from serin.core.resources.finetune import Attempt, FineTuneSpec, FineTuneStatus, StageStatus

from ..manifests import UID, at, condition, finetune, job, pod

NAME = "law-qa"


def labelled(name: str, stage: str, uid: str = UID, **metadata: Any) -> dict[str, Any]:
    labels = {"serin.dev/finetune": NAME, "serin.dev/finetune-uid": uid, "serin.dev/stage": stage}
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": labels, **metadata}}


def seen(caches: Caches, facts: Facts | None = None, accepted: bool = False) -> Observed:
    return observe(caches, facts or Facts(), NAME, UID, accepted)


def test_a_job_is_found_by_its_name_alone_whoever_it_belongs_to() -> None:
    caches = Caches()
    foreign = {"metadata": {"name": job_name(NAME, UID, "train"), "uid": "x"}}
    caches.by_kind[JOBS].put(foreign)
    caches.by_kind[JOB_SETS].put({"metadata": {"name": job_name(NAME, UID, "merge"), "uid": "y"}})
    assert seen(caches).jobs == {
        "train": foreign,
        "merge": {"metadata": {"name": job_name(NAME, UID, "merge"), "uid": "y"}},
    }


def test_pods_and_a_jobsets_jobs_are_told_by_labels_and_those_of_a_namesake_are_left_out() -> None:
    caches = Caches()
    ours, namesakes = labelled("pod-1", "train"), labelled("pod-2", "train", uid="the-one-before")
    of_jobset = labelled("job-1", "train", ownerReferences=[{"kind": "JobSet", "uid": "z"}])
    plain = labelled("job-2", "merge", ownerReferences=[{"kind": "FineTune", "uid": UID}])
    for kind, each in (
        (PODS, ours),
        (PODS, namesakes),
        (JOBS, of_jobset),
        (JOBS, plain),
        (PODS, labelled("p", "no-stage")),
    ):
        caches.by_kind[kind].put(each)
    found = seen(caches)
    assert found.pods == {"train": [ours]}
    assert found.children == {"train": [of_jobset]}


def test_of_several_workloads_the_newest_one_counts() -> None:
    caches = Caches()
    caches.by_kind[JOBS].put(labelled(job_name(NAME, UID, "train"), "train"))
    owner = [{"kind": "Job", "uid": f"uid-{job_name(NAME, UID, 'train')}"}]
    for name, made in (("new", at(60)), ("old", at(0))):
        caches.by_kind[WORKLOADS].put({"metadata": {"name": name, "creationTimestamp": made, "ownerReferences": owner}})
    assert seen(caches).workloads["train"]["metadata"]["name"] == "new"


def test_inputs_that_were_found_once_are_not_in_question_any_more() -> None:
    fault = Fault("DatasetMissing", "gone")
    assert seen(Caches(), Facts(faults=(fault,))).faults == (fault,)
    assert seen(Caches(), Facts(faults=None)).faults is None
    assert seen(Caches(), Facts(faults=None), accepted=True).faults == ()


def test_whether_storage_answers_is_known_once_it_was_asked() -> None:
    assert seen(Caches()).unanswered is None
    assert seen(Caches(), Facts(has_answered=True)).unanswered == ""
    assert seen(Caches(), Facts().silent("progress", "timed out")).unanswered == "timed out"


def test_the_stage_that_is_due_is_the_first_without_a_result() -> None:
    spec = FineTuneSpec.model_validate(finetune()["spec"])
    status = FineTuneStatus(stages=[StageStatus(name="train", state="Done")])
    assert due_stage(spec, FineTuneStatus(), []) == "train"
    assert due_stage(spec, status, []) == "merge"
    assert due_stage(spec, status, ["merge", "evaluate", "publish"]) is None


def test_accepted_is_what_the_condition_says() -> None:
    said = Condition(type="Accepted", status="True", reason="InputsFound", last_transition_time=at(0))
    assert is_accepted(FineTuneStatus(conditions=[said]))
    assert not is_accepted(FineTuneStatus(conditions=[said.model_copy(update={"status": "Unknown"})]))
    assert not is_accepted(FineTuneStatus())


def test_an_end_lags_where_fewer_pods_than_the_job_counted_are_known_to_have_ended() -> None:
    failed = job(finetune(), conditions=[condition("Failed", "BackoffLimitExceeded")])
    failed["status"]["failed"] = 2
    one, other = pod("a", "Failed"), pod("b", "Failed")
    nothing, told = FineTuneStatus(), remembered(Attempt(pod="b", started=at(0), finished=at(9), gpus=1))

    def lag(pods: list[dict[str, Any]], status: FineTuneStatus = nothing) -> bool:
        return end_lags(Observed(jobs={"train": failed}, pods={"train": pods}), "train", status)

    assert lag([one])
    assert lag([one, pod("b", "Running")])
    assert not lag([one, other])
    assert not lag([one], told)
    assert lag([other], told)
    failed["status"] = {}
    assert not lag([pod("b", "Running")])


def test_the_end_of_a_jobset_lags_until_one_of_its_jobs_is_seen_to_have_failed() -> None:
    failed = job(finetune(), conditions=[condition("Failed", "FailedJobs")])
    alive, over = job(finetune()), job(finetune(), conditions=[condition("Failed", "DeadlineExceeded")])
    for children, lag in (([alive], True), ([alive, over], False), ([], False)):
        seen = Observed(jobs={"train": failed}, children={"train": children})
        assert end_lags(seen, "train", FineTuneStatus()) == lag


def remembered(attempt: Attempt) -> FineTuneStatus:
    return FineTuneStatus(stages=[StageStatus(name="train", attempts=[attempt])])
