"""What the controller decides about a FineTune, and what its status then says."""

from datetime import timedelta
from typing import Any

import pytest

from serin.controller.actions import ActivateWorkload, ConfirmGone, CreateJob, SuspendJob
from serin.controller.observed import Fault, Observed
from serin.controller.plan import Plan, plan
from serin.core.resources.finetune import FineTuneStatus, StageStatus
from serin.core.task import STAGES, Stage, Task

from ..manifests import (
    START,
    at,
    condition,
    ended,
    finetune,
    job,
    last_words,
    pod,
    result,
    running,
    workload,
)

CLEAN = Observed(faults=())


class Run:
    """One FineTune whose status is kept from plan to plan, as the API server keeps it."""

    def __init__(self, *stages: Stage, **more: Any) -> None:
        self.object = finetune(stages or None, **more)
        self.now = START

    def see(self, observed: Observed = CLEAN, seconds: float = 1, **spec: Any) -> Plan:
        """Plan so much later."""
        self.now += timedelta(seconds=seconds)
        if spec:
            self.object["spec"] |= spec
            self.object["metadata"]["generation"] += 1
        found = plan(self.object, observed, self.now)
        status = found.status.model_dump(mode="json", by_alias=True, exclude_none=True)
        assert FineTuneStatus.model_validate(status) == found.status
        self.object["status"] = status
        again = plan(self.object, observed, self.now + timedelta(milliseconds=500))
        assert again.status == found.status, "the same things seen again would be written again"
        assert not again.events
        return found

    def job(self, stage: Stage = "train", **more: Any) -> dict[str, Any]:
        return job(self.object, stage, **more)

    def complete(self, stage: Stage = "train") -> dict[str, Any]:
        return self.job(stage, conditions=[condition("Complete")])

    def begun(self, stage: Stage = "train") -> "Run":
        """With a Job of its first stage that was seen."""
        assert created(self.see()) == [stage]
        self.see(jobs(self.job(stage)))
        return self


def jobs(*found: dict[str, Any], **more: Any) -> Observed:
    by_stage = {each["metadata"]["labels"]["serin.dev/stage"]: each for each in found}
    return Observed(jobs=by_stage, faults=(), **more)


def of(status: FineTuneStatus, type_: str) -> tuple[str, str, str]:
    found = next((each for each in status.conditions if each.type == type_), None)
    return (found.status, found.reason, found.message) if found else ("", "", "")


def stage_of(status: FineTuneStatus, stage: Stage) -> StageStatus:
    return next(each for each in status.stages if each.name == stage)


def created(found: Plan) -> list[Stage]:
    return [action.stage for action in found.actions if isinstance(action, CreateJob)]


def failed_job(run: Run, reason: str, message: str = "", stage: Stage = "train") -> dict[str, Any]:
    return run.job(stage, conditions=[condition("Failed", reason, message)])


# ---------------------------------------------------------------------------------------------------- the whole way


def test_stages_run_one_after_the_other_each_with_what_the_earlier_ones_made() -> None:
    run = Run()
    done: dict[Stage, Any] = {}
    seen: list[dict[str, Any]] = []
    for stage in STAGES:
        found = run.see(jobs(*seen, results=done))
        assert created(found) == [stage]
        (action,) = found.actions
        assert isinstance(action, CreateJob)
        env = action.body["spec"]["template"]["spec"]["containers"][0]["env"]
        task = Task.model_validate_json(next(each["value"] for each in env if each["name"] == "SERIN_TASK"))
        made = {key: value for key, value in task.inputs.items() if key not in ("base", "dataset")}
        outs = {"merge": {"adapter": "1" * 32}, "evaluate": {"merged": "2" * 32}}
        assert made == outs.get(stage, made)
        mine = run.job(stage, uid=f"job-{stage}")
        assert not run.see(jobs(*seen, mine, results=done)).actions
        pods = {stage: [running(f"{stage}-pod", started=100)]}
        found = run.see(jobs(*seen, mine, results=done, pods=pods))
        assert (found.status.phase, found.status.stage, found.status.job) == (
            "Running",
            stage,
            mine["metadata"]["name"],
        )
        done = {**done, stage: result(stage, passed=True if stage == "evaluate" else None, revision="law-qa@3f9a")}
        seen.append(run.job(stage, uid=f"job-{stage}", conditions=[condition("Complete")]))
    found = run.see(jobs(*seen, results=done))
    status = found.status
    assert (status.phase, status.exit_code, status.revision, status.passed) == ("Succeeded", 0, "law-qa@3f9a", True)
    assert [stage.state for stage in status.stages] == ["Done"] * 4
    assert [stage.out for stage in status.stages] == ["1" * 32, "2" * 32, "3" * 32, "4" * 32]
    assert of(status, "Succeeded")[0] == "True"
    assert of(status, "GatePassed")[0] == "True"
    assert of(status, "Running")[:2] == ("False", "Done")


def test_a_result_counts_once_its_job_holds_nothing_any_more() -> None:
    run = Run("train", "merge").begun()
    known = {"train": result("train")}
    assert created(run.see(jobs(run.job(), results=known, pods={"train": [running()]}))) == []
    assert created(run.see(jobs(run.job(), results=known, pods={"train": [ended(137)]}))) == [], "another pod follows"
    assert created(run.see(jobs(run.complete(), results=known, pods={"train": [running()]}))) == []
    assert created(run.see(jobs(run.complete(), results=known, pods={"train": [ended(0)]}))) == ["merge"]


def test_a_pods_last_words_tell_of_its_result_before_storage_is_asked() -> None:
    run = Run("train", "merge").begun()
    pods = {"train": [ended(0, message=last_words(0, "done", result=result("train")))]}
    found = run.see(jobs(run.complete(), pods=pods))
    assert created(found) == ["merge"]
    assert stage_of(found.status, "train").out == "1" * 32


def test_what_is_done_is_not_run_again_when_its_job_was_removed_by_its_ttl() -> None:
    run = Run("train", "merge").begun()
    run.see(jobs(run.complete(), results={"train": result("train")}))
    assert created(run.see(Observed(faults=()))) == ["merge"]
    assert stage_of(run.see().status, "train").out == "1" * 32


def test_a_deleted_finetune_is_left_to_the_garbage_collector() -> None:
    run = Run()
    run.object["metadata"]["deletionTimestamp"] = at(0)
    found = run.see()
    assert not found.actions
    assert found.status == FineTuneStatus()


def test_what_training_reports_is_shown_and_stays_when_it_is_over() -> None:
    run = Run("train", "merge").begun()
    progress = {"step": 40, "steps": 100, "loss": 1.25, "tokens_per_s": 812.5, "seconds_left": 61.0}
    status = run.see(jobs(run.job(), pods={"train": [running()]}, progress=progress)).status
    assert (status.step, status.steps, status.loss) == (40, 100, 1.25)
    assert (status.tokens_per_s, status.seconds_left) == (812.5, 61.0)
    broken = {"step": 41, "steps": 100, "loss": float("nan"), "seconds_left": None}
    assert run.see(jobs(run.job(), pods={"train": [running()]}, progress=broken)).status.loss == 1.25
    status = run.see(jobs(run.complete(), results={"train": result("train")})).status
    assert (status.step, status.loss, status.tokens_per_s, status.seconds_left) == (41, 1.25, None, None)


# ---------------------------------------------------------------------------------------------------- acceptance


def test_nothing_is_created_before_the_inputs_were_checked() -> None:
    run = Run()
    found = run.see(Observed())
    assert not found.actions
    assert of(found.status, "Accepted")[:2] == ("Unknown", "Checking")
    assert found.again_s
    assert created(run.see()) == ["train"]
    assert of(run.see().status, "Accepted")[0] == "True"


def test_a_storage_that_does_not_answer_is_asked_again_and_never_a_no() -> None:
    run = Run()
    found = run.see(Observed(unanswered="storage s3://bucket does not answer: timed out"))
    assert of(found.status, "Accepted") == ("Unknown", "NoAnswer", "storage s3://bucket does not answer: timed out")
    assert found.status.phase == "Pending"
    assert created(run.see()) == ["train"]


def test_what_was_said_of_storage_stands_until_it_was_asked_again() -> None:
    run = Run()
    silent = "storage s3://bucket does not answer: timed out"
    told = run.see(Observed(unanswered=silent)).status
    assert of(told, "StorageUnreachable") == ("True", "NoAnswer", silent)
    assert run.see(Observed()).status == told, "a controller that starts anew knows nothing yet"
    assert of(run.see(Observed(unanswered="")).status, "StorageUnreachable")[:2] == ("False", "Answers")


def test_no_job_is_made_while_storage_cannot_say_whether_the_stage_was_done_before() -> None:
    run = Run("train", "merge")
    run.see()
    run.see(jobs(run.job(), pods={"train": [running()]}))
    found = run.see(jobs(run.complete(), results={"train": result("train")}, unanswered="timed out"))
    assert not created(found)
    assert of(found.status, "Running")[:2] == ("False", "NoAnswer")
    assert of(found.status, "StorageUnreachable")[0] == "True"
    found = run.see(jobs(run.complete(), results={"train": result("train")}, unanswered=""))
    assert created(found) == ["merge"]


def test_a_run_that_fails_while_storage_is_silent_asks_it_no_more() -> None:
    run = Run("train").begun()
    failed = jobs(run.job(conditions=[condition("Failed", "DeadlineExceeded")]), unanswered="timed out")
    assert of(run.see(failed).status, "StorageUnreachable")[:2] == ("False", "Over")


def test_the_time_left_of_a_stage_stands_until_its_progress_is_read_again() -> None:
    run = Run("train").begun()
    progress = {"step": 40, "steps": 100, "loss": 1.25, "seconds_left": 61.0}
    before = run.see(jobs(run.job(), pods={"train": [running()]}, progress=progress)).status
    assert run.see(jobs(run.job(), pods={"train": [running()]})).status == before
    stopped = run.see(jobs(run.job(), pods={"train": [pod("p", "Pending")]})).status
    assert stopped.seconds_left is None


def test_a_missing_dataset_is_refused_before_a_gpu_is_taken() -> None:
    run = Run()
    found = run.see(Observed(faults=[Fault("DatasetMissing", "dataset 000.dir is not in storage: dvc push it")]))
    assert not found.actions
    assert found.status.phase == "Failed"
    assert found.status.exit_code == 78
    assert of(found.status, "Accepted")[:2] == ("False", "DatasetMissing")
    assert of(found.status, "Failed") == ("True", "DatasetMissing", "dataset 000.dir is not in storage: dvc push it")
    assert not run.see().actions, "it is over, even if the dataset appears now"


def test_what_has_begun_is_not_asked_again() -> None:
    run = Run().begun()
    found = run.see(Observed(jobs={"train": run.job()}, faults=[Fault("DatasetMissing", "gone")]))
    assert of(found.status, "Accepted")[0] == "True"
    assert found.status.phase == "Pending"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"params": {"train": {"lora": {"r": 0}}}}, "spec.run.params.train.lora.r = 0"),
        ({"params": {"train": {"colour": 1}}}, "spec.run.params.train.colour"),
        ({"stages": ("merge",)}, "inputs.adapter: missing"),
        ({"stages": ("train", "evaluate")}, "stages = train, evaluate: must be"),
        ({"stages": ("merge", "train")}, "stages = merge, train: must be"),
        ({"name": "n" * 41}, "must be at most 40 characters"),
        ({"name": "n" * 34, "nodes": 2}, "must be at most 33 characters with placement.nodes = 2"),
        ({"name": "7b-law", "nodes": 2}, "begins with a letter"),
    ],
)
def test_what_the_schema_let_pass_is_refused_in_words(more: dict[str, Any], said: str) -> None:
    run = Run(*more.pop("stages", ()), **more)
    found = run.see()
    assert not found.actions
    assert found.status.exit_code == 78
    state, reason, message = of(found.status, "Accepted")
    assert (state, reason) == ("False", "BadParams")
    assert said in message


# ---------------------------------------------------------------------------------------------------- the gate


def test_a_gate_that_says_no_ends_the_run_and_publish_is_never_made() -> None:
    run = Run("evaluate", "publish", inputs={"merged": "2" * 32, "adapter": "1" * 32}).begun("evaluate")
    missed = ["token_f1 gain over base in all: 0.01, and has to be above 0.1"]
    seen = jobs(run.complete("evaluate"), results={"evaluate": result("evaluate", passed=False, missed=missed)})
    found = run.see(seen)
    assert not found.actions
    assert (found.status.phase, found.status.exit_code, found.status.passed) == ("Failed", 3, False)
    assert found.status.missed == missed
    assert of(found.status, "GatePassed")[:2] == ("False", "GateSaidNo")
    assert missed[0] in of(found.status, "Failed")[2]
    assert stage_of(found.status, "evaluate").state == "Done"
    assert not run.see(seen).actions


def test_an_evaluation_alone_reached_its_verdict_whatever_that_is() -> None:
    run = Run("evaluate", inputs={"merged": "2" * 32}).begun("evaluate")
    found = run.see(
        jobs(run.complete("evaluate"), results={"evaluate": result("evaluate", passed=False, missed=["x"])})
    )
    assert (found.status.phase, found.status.exit_code) == ("Succeeded", 0)
    assert of(found.status, "GatePassed")[0] == "False"


# ---------------------------------------------------------------------------------------------------- failures


def test_a_failed_pod_with_retries_left_is_no_failed_run() -> None:
    run = Run().begun()
    found = run.see(jobs(run.job(), pods={"train": [ended(1, message="storage did not answer")]}))
    assert found.status.phase == "Pending"
    assert of(found.status, "Failed")[0] == ""
    state, reason, message = of(found.status, "Running")
    assert (state, reason) == ("False", "Error")
    assert "storage did not answer" in message
    pods = {"train": [ended(1), running("second", started=80)]}
    found = run.see(jobs(run.job(), pods=pods))
    assert of(found.status, "Running")[0] == "True"
    assert [attempt.exit_code for attempt in stage_of(found.status, "train").attempts] == [1, None]


def test_a_failed_job_is_a_failed_run_with_the_runs_own_exit_code_and_words() -> None:
    run = Run().begun()
    said = "Container run for pod team/p failed with exit code 78 matching FailJob rule at index 2"
    pods = {"train": [ended(78, message=last_words(78, "train.lora.r = 0: must be at least 1"))]}
    found = run.see(jobs(failed_job(run, "PodFailurePolicy", said), pods=pods))
    assert (found.status.phase, found.status.exit_code) == ("Failed", 78)
    assert of(found.status, "Failed") == ("True", "BadConfig", "train.lora.r = 0: must be at least 1")
    assert of(found.status, "Succeeded")[0] == "False"
    assert stage_of(found.status, "train").state == "Failed"
    assert [(event.type, event.reason) for event in found.events] == [("Warning", "BadConfig")]


def test_out_of_memory_shows_the_plans_estimate_beside_the_limit() -> None:
    run = Run().begun()
    pods = {"train": [ended(137, reason="OOMKilled")]}
    seen = jobs(failed_job(run, "BackoffLimitExceeded"), pods=pods, progress={"memory_estimate_bytes": 40 * 2**30})
    _, reason, message = of(run.see(seen).status, "Failed")
    assert reason == "OOMKilled"
    assert "32Gi" in message
    assert "40.0 GiB" in message


def test_a_job_that_is_only_about_to_fail_has_not_failed() -> None:
    run = Run().begun()
    found = run.see(
        jobs(run.job(conditions=[condition("FailureTarget", "BackoffLimitExceeded")]), pods={"train": [running()]})
    )
    assert found.status.phase == "Running"


def test_a_result_outweighs_a_job_that_failed_afterwards() -> None:
    run = Run("train").begun()
    found = run.see(jobs(failed_job(run, "BackoffLimitExceeded"), results={"train": result("train")}))
    assert found.status.phase == "Succeeded"


def test_what_keeps_a_pod_from_running_is_a_condition_while_it_waits() -> None:
    run = Run().begun()
    said = "0/12 nodes are available: 12 Insufficient nvidia.com/gpu."
    scheduled = condition("PodScheduled", "Unschedulable", said, status="False")
    found = run.see(jobs(run.job(), pods={"train": [pod(phase="Pending", conditions=[scheduled])]}))
    assert of(found.status, "Running")[:2] == ("False", "Unschedulable")
    assert "12 have too little nvidia.com/gpu" in of(found.status, "Running")[2]
    assert [(event.type, event.reason) for event in found.events] == [("Warning", "Unschedulable")]


def test_a_job_that_gets_no_pod_says_where_to_look() -> None:
    run = Run().begun()
    started = run.job() | {"status": {"startTime": at(100)}}
    found = run.see(jobs(started), seconds=110)
    assert of(found.status, "Running")[:2] == ("False", "Starting")
    assert found.again_s is not None
    found = run.see(jobs(started), seconds=found.again_s)
    assert of(found.status, "Running")[:2] == ("False", "NoPod")
    assert "kubectl describe job law-qa-train-12345678" in of(found.status, "Running")[2]
    assert "serin-run" in of(found.status, "Running")[2]
    found = run.see(jobs(started, pods={"train": [pod(phase="Pending")]}))
    assert of(found.status, "Running")[1] == "Starting"


def test_a_job_that_the_api_server_refuses_is_asked_for_again_and_says_why() -> None:
    run = Run()
    refused = Observed(faults=(), refused={"train": Fault("JobRefused", "exceeded quota: gpus")})
    found = run.see(refused)
    assert created(found) == ["train"]
    assert of(found.status, "Running") == ("False", "JobRefused", "exceeded quota: gpus")
    assert found.status.phase == "Pending"


def test_pods_that_train_together_do_not_run_while_one_of_them_finds_no_node() -> None:
    run = Run(nodes=2).begun()
    said = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    scheduled = condition("PodScheduled", "Unschedulable", said, status="False")
    pods = {"train": [running("p-0", index=0), pod("p-1", "Pending", conditions=[scheduled], index=1)]}
    found = run.see(jobs(run.job(), pods=pods))
    assert of(found.status, "Running")[:2] == ("False", "Unschedulable")
    pods = {"train": [running("p-0", index=0), running("p-1", index=1)]}
    assert of(run.see(jobs(run.job(), pods=pods)).status, "Running")[0] == "True"


def test_a_complete_job_whose_result_is_late_waits_for_it_and_not_forever() -> None:
    run = Run("train").begun()
    seen = jobs(run.job(conditions=[condition("Complete", seconds=0)]))
    found = run.see(seen, seconds=60)
    assert (found.status.phase, of(found.status, "Running")[1]) == ("Pending", "ResultPending")
    assert found.again_s is not None
    assert run.see(seen, seconds=300).status.phase == "Pending"
    silent = jobs(run.job(conditions=[condition("Complete", seconds=0)]), unanswered="storage does not answer")
    assert run.see(silent, seconds=3600).status.phase == "Pending", "a silent storage may have it"
    found = run.see(seen)
    assert (found.status.phase, of(found.status, "Failed")[1]) == ("Failed", "ResultMissing")


# ---------------------------------------------------------------------------------------------------- names and hands


def test_a_job_of_that_name_that_belongs_to_another_is_never_touched() -> None:
    run = Run()
    run.see()
    found = run.see(jobs(run.job(owner="someone-else")))
    assert not found.actions
    assert (found.status.phase, of(found.status, "Failed")[1]) == ("Failed", "NameTaken")
    assert "law-qa-train-12345678" in of(found.status, "Failed")[2]


def test_a_job_that_is_not_seen_any_more_is_asked_for_before_it_counts_as_deleted() -> None:
    run = Run().begun()
    before = run.object["status"]
    found = run.see(Observed(faults=()))
    assert found.actions == [ConfirmGone("train", "Job", "law-qa-train-12345678")]
    assert run.object["status"] == before


def test_a_job_deleted_by_hand_is_made_again_once() -> None:
    run = Run().begun()
    gone = Observed(faults=(), gone=frozenset({"train"}))
    assert created(run.see(gone)) == ["train"]
    assert created(run.see(gone)) == ["train"], "as long as it is not seen, creating it again is the same wish"
    found = run.see(jobs(run.job(uid="job-2"), pods={"train": [running()]}))
    assert stage_of(found.status, "train").remade == 1
    found = run.see(gone)
    assert not created(found)
    assert (found.status.phase, of(found.status, "Failed")[1]) == ("Failed", "JobDeleted")


def test_the_pods_of_a_deleted_job_end_before_another_is_made() -> None:
    run = Run().begun()
    run.see(jobs(run.job(), pods={"train": [running()]}))
    gone = Observed(faults=(), gone=frozenset({"train"}), pods={"train": [running()]})
    assert not created(run.see(gone))
    assert created(run.see(Observed(faults=(), gone=frozenset({"train"}), pods={"train": [ended(75)]}))) == ["train"]


def test_a_job_that_is_being_deleted_is_waited_for() -> None:
    run = Run().begun()
    leaving = run.job()
    leaving["metadata"]["deletionTimestamp"] = at(5)
    found = run.see(jobs(leaving, pods={"train": [running()]}), suspend=True)
    assert not found.actions, "what is leaving is not stopped"
    assert of(found.status, "Running")[1:] == ("Stopping", "Job law-qa-train-12345678 is being deleted")
    assert found.status.phase != "Failed"


# ---------------------------------------------------------------------------------------------------- suspension


def test_without_a_queue_suspension_is_the_jobs() -> None:
    run = Run().begun()
    found = run.see(jobs(run.job(), pods={"train": [running()]}), suspend=True)
    assert found.actions == (SuspendJob("train", "Job", "law-qa-train-12345678", True),)
    assert (found.status.phase, of(found.status, "Running")[1]) == ("Running", "Stopping")
    found = run.see(jobs(run.job(suspend=True)))
    assert not found.actions
    assert (found.status.phase, of(found.status, "Running")[:2]) == ("Suspended", ("False", "Suspended"))
    assert stage_of(found.status, "train").attempts[0].reason == "Suspended"
    found = run.see(jobs(run.job(suspend=True)), suspend=False)
    assert found.actions == (SuspendJob("train", "Job", "law-qa-train-12345678", False),)
    assert not run.see(jobs(run.job(suspend=False))).actions


def test_with_a_queue_it_is_the_workloads_and_suspend_is_never_touched() -> None:
    run = Run(queue="gpu").begun()
    held = {"train": workload([condition("Admitted")])}
    found = run.see(jobs(run.job(), pods={"train": [running()]}, workloads=held), suspend=True)
    assert found.actions == (ActivateWorkload("train", "job-law-qa-train-12345678-9f1c2", False),)
    assert found.actions[0].patch == {
        "metadata": {"annotations": {"serin.dev/suspended": "true"}},
        "spec": {"active": False},
    }
    stopped = {"train": workload([condition("Evicted", "Deactivated")], active=False, marked=True)}
    found = run.see(jobs(run.job(suspend=True), workloads=stopped))
    assert not found.actions
    assert found.status.phase == "Suspended"
    assert of(found.status, "Admitted")[:2] == ("False", "Suspended")
    found = run.see(jobs(run.job(suspend=True), workloads=stopped), suspend=False)
    assert found.actions == (ActivateWorkload("train", "job-law-qa-train-12345678-9f1c2", True),)
    assert found.actions[0].patch["metadata"] == {"annotations": {"serin.dev/suspended": None}}


def test_a_controller_that_forgot_still_knows_by_the_mark_that_it_was_serin_that_stopped_it() -> None:
    run = Run(queue="gpu").begun()
    marked = {"train": workload(active=False, marked=True)}
    assert run.see(jobs(run.job(), workloads=marked)).actions == (
        ActivateWorkload("train", "job-law-qa-train-12345678-9f1c2", True),
    )


def test_a_workload_that_a_person_stopped_stays_stopped() -> None:
    run = Run(queue="gpu").begun()
    found = run.see(jobs(run.job(), workloads={"train": workload(active=False)}))
    assert not found.actions
    assert of(found.status, "Admitted")[:2] == ("False", "Deactivated")


def test_suspended_before_it_began_makes_no_job() -> None:
    run = Run(suspend=True)
    found = run.see()
    assert not found.actions
    assert found.status.phase == "Suspended"
    assert created(run.see(suspend=False)) == ["train"]


def test_suspended_between_two_stages_makes_no_job() -> None:
    run = Run("train", "merge").begun()
    seen = jobs(run.complete(), results={"train": result("train")})
    found = run.see(seen, suspend=True)
    assert not found.actions
    assert found.status.phase == "Suspended"


# ---------------------------------------------------------------------------------------------------- Kueue


def test_the_queue_is_waited_for_in_its_own_words() -> None:
    run = Run(queue="gpu").begun()
    pending = workload([condition("QuotaReserved", "Pending", "insufficient quota for nvidia.com/gpu", status="False")])
    found = run.see(jobs(run.job(suspend=True), workloads={"train": pending}))
    assert not found.actions
    assert (found.status.phase, of(found.status, "Admitted")[:2]) == ("Queued", ("False", "Queued"))
    assert "insufficient quota for nvidia.com/gpu" in of(found.status, "Admitted")[2]
    found = run.see(jobs(run.job(suspend=False), workloads={"train": workload([condition("Admitted")])}))
    assert of(found.status, "Admitted")[0] == "True"


def test_preemption_is_a_condition_and_no_failure_and_ends_when_it_runs_again() -> None:
    run = Run(queue="gpu").begun()
    admitted = {"train": workload([condition("Admitted")])}
    run.see(jobs(run.job(), pods={"train": [running("a", started=0)]}, workloads=admitted))
    said = "Preempted to accommodate a workload of higher priority"
    taken = workload(
        [condition("Evicted", "Preempted", said, seconds=60), condition("Preempted", "InClusterQueue", said)]
    )
    found = run.see(jobs(run.job(suspend=True), workloads={"train": taken}), seconds=100)
    assert found.status.phase == "Queued"
    assert of(found.status, "Preempted")[:2] == ("True", "Preempted")
    assert said in of(found.status, "Preempted")[2]
    assert of(found.status, "Failed")[0] == ""
    assert found.status.gpu_seconds == 60
    assert stage_of(found.status, "train").attempts[0].reason == "Preempted"
    assert "Preempted" in [event.reason for event in found.events if event.type == "Warning"]
    pods = {"train": [running("b", started=200)]}
    found = run.see(jobs(run.job(), pods=pods, workloads=admitted), seconds=100)
    assert of(found.status, "Preempted")[:2] == ("False", "Resumed")
    assert found.status.phase == "Running"


def test_a_drained_node_is_a_disruption_that_says_it_goes_on() -> None:
    run = Run().begun()
    drained = ended(75, conditions=[condition("DisruptionTarget", "EvictionByEvictionAPI", "Eviction API: evicting")])
    found = run.see(jobs(run.job(), pods={"train": [drained]}))
    assert of(found.status, "Preempted")[:2] == ("True", "Evicted")
    assert "goes on from its newest checkpoint" in of(found.status, "Preempted")[2]
    found = run.see(jobs(run.job(), pods={"train": [drained, running("b", started=90)]}))
    assert of(found.status, "Preempted")[0] == "False"


@pytest.mark.parametrize(
    "after", [("Succeeded", "Resumed"), ("Failed", "BackoffLimitExceeded")], ids=lambda each: each[0]
)
def test_nothing_is_preempted_any_more_once_it_is_over(after: tuple[str, str]) -> None:
    """Also for a controller that was away while it went on, and sees the end alone."""
    run = Run("train").begun()
    drained = ended(75, conditions=[condition("DisruptionTarget", "EvictionByEvictionAPI", "Eviction API: evicting")])
    run.see(jobs(run.job(), pods={"train": [drained]}))
    phase, reason = after
    done = jobs(run.complete(), results={"train": result("train")})
    found = run.see(done if phase == "Succeeded" else jobs(failed_job(run, "BackoffLimitExceeded")))
    assert found.status.phase == phase
    assert of(found.status, "Preempted")[:2] == ("False", reason)


def test_kueues_own_limit_of_time_ends_the_run() -> None:
    run = Run(queue="gpu", deadlineS=3600).begun()
    late = workload([condition("Evicted", "DeactivatedDueToMaximumExecutionTimeExceeded", "too long")], active=False)
    found = run.see(jobs(run.job(suspend=True), workloads={"train": late}))
    assert not found.actions
    assert of(found.status, "Failed")[:2] == ("True", "DeadlineExceeded")


# ---------------------------------------------------------------------------------------------------- the status itself


def test_times_of_conditions_move_with_their_status_only() -> None:
    run = Run(queue="gpu").begun()

    def moved() -> str:
        found = next(each for each in run.object["status"]["conditions"] if each["type"] == "Admitted")
        return str(found["lastTransitionTime"])

    run.see(
        jobs(run.job(), workloads={"train": workload([condition("QuotaReserved", "Pending", "one", status="False")])})
    )
    first = moved()
    other = workload([condition("QuotaReserved", "Pending", "another", status="False")])
    assert "another" in of(run.see(jobs(run.job(), workloads={"train": other}), seconds=50).status, "Admitted")[2]
    assert moved() == first
    run.see(jobs(run.job(), workloads={"train": workload([condition("Admitted")])}), seconds=50)
    assert moved() == at((run.now - START).total_seconds())


def test_every_condition_tells_which_generation_it_saw() -> None:
    run = Run().begun()
    status = run.see(jobs(run.job()), suspend=True).status
    assert status.observed_generation == 2
    assert {each.observed_generation for each in status.conditions} == {2}


def test_what_is_over_stays_over_and_only_open_attempts_are_closed() -> None:
    run = Run("train").begun()
    run.see(jobs(run.job(), pods={"train": [running("a", started=0)]}))
    failed = failed_job(run, "DeadlineExceeded", "too long")
    found = run.see(jobs(failed, pods={"train": [running("a", started=0)]}), seconds=100)
    assert of(found.status, "Failed")[1] == "DeadlineExceeded"
    found = run.see(jobs(failed, pods={"train": [ended(75, "a", 0, 120)]}), seconds=100)
    assert found.status.gpu_seconds == 120
    final = run.object["status"]
    for seen in (
        CLEAN,
        jobs(run.job(), pods={"train": [running("b")]}),
        jobs(run.complete(), results={"train": result("train")}),
    ):
        assert not run.see(seen, seconds=1000).actions
        assert run.object["status"] == final


def test_gpu_seconds_add_up_over_stages_and_several_nodes() -> None:
    run = Run("train", "merge", nodes=2, train={"gpus": 8}).begun()
    pods = {"train": [ended(0, "p-0", 0, 100, index=0), ended(0, "p-1", 0, 100, index=1)]}
    found = run.see(jobs(run.complete(), pods=pods, results={"train": result("train")}))
    assert found.status.gpu_seconds == 1600
    pods |= {"merge": [running("m", started=200)]}
    assert run.see(jobs(run.complete(), run.job("merge"), pods=pods)).status.gpu_seconds == 1600, "merging takes no GPU"


def test_a_status_of_another_version_is_no_obstacle() -> None:
    run = Run()
    run.object["status"] = {"phase": "Dancing", "colour": "blue"}
    found = run.see(jobs(run.job(), pods={"train": [running()]}))
    assert found.status.phase == "Running"
