"""What happens to runs on a cluster, each told once for every cluster: the stand-in, and with ``-m cluster`` a real one.

Every scenario ends in a state that does not change any more, so that it can be told again with a controller that is killed at
every single request, and must end the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest

from serin.clients.kubernetes import InvalidError
from serin.clients.kubernetes.kinds import FINE_TUNES, JOBS, PODS
from serin.core.task import STAGES, Stage

from .standin import (
    CompleteWithoutResult,
    Disrupt,
    Evict,
    Exit,
    ImagePull,
    OutOfMemory,
    SecretMissing,
    Succeed,
    Unschedulable,
    Work,
)
from .world import World

Need = Literal["stand-in", "kueue", "jobset"]
"""What a cluster must have: ``stand-in`` where a scenario turns the cluster's clock or its queue by hand."""


@dataclass(frozen=True)
class Scenario:
    """``tell`` acts and asserts. ``names`` are the FineTunes whose end is compared."""

    tell: Callable[[World], None]
    needs: frozenset[Need] = frozenset()
    names: Sequence[str] = ("law",)
    matrix: bool = True
    """Whether it is told in the crash matrix too."""
    stepped: bool = False
    """Whether it needs the controller's clock too, which only the one without threads shares with the cluster."""
    made: dict[Stage, int] = field(default_factory=dict)
    """Jobs of each stage of each name when it is over."""

    @property
    def name(self) -> str:
        """Of its function."""
        return self.tell.__name__


SCENARIOS: list[Scenario] = []


def scenario(
    *needs: Need, made: dict[Stage, int], names: Sequence[str] = ("law",), matrix: bool = True, stepped: bool = False
) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Add a function to the scenarios."""

    def add(tell: Callable[[World], None]) -> Callable[[World], None]:
        SCENARIOS.append(Scenario(tell, frozenset(needs), tuple(names), matrix, stepped, made))
        return tell

    return add


ALL: dict[Stage, int] = dict.fromkeys(STAGES, 1)
TRAIN: dict[Stage, int] = {"train": 1}
FAILED = "True"


# ---- as it should be -----------------------------------------------------------------------------------------------------
@scenario(made=ALL)
def every_stage_runs_once_and_hands_its_hash_to_the_next(world: World) -> None:
    finetune = world.submit()
    world.until_phase("Succeeded")
    status = world.status()
    assert [stage["name"] for stage in status["stages"]] == list(STAGES)
    assert [stage["state"] for stage in status["stages"]] == ["Done"] * 4
    assert all(stage["out"].endswith(".dir") for stage in status["stages"])
    assert all(world.has_result(finetune, stage) for stage in STAGES)
    assert status["exitCode"] == 0
    assert status["passed"] is True
    assert status["revision"].startswith("model@")
    assert world.condition("GatePassed")[0] == "True"
    assert world.condition("Succeeded")[0] == "True"
    assert status["observedGeneration"] == 1


@scenario(made=ALL, names=[f"run-{i:02d}" for i in range(50)], matrix=False)
def fifty_runs_at_once(world: World) -> None:
    names = [f"run-{i:02d}" for i in range(50)]
    for name in names:
        world.submit(name)
    world.until(lambda: all(world.phase(name) == "Succeeded" for name in names), "all fifty succeed")


@scenario(made=TRAIN)
def a_change_of_the_run_is_refused(world: World) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"])
    world.until_running()
    with pytest.raises(InvalidError):
        world.user.patch(FINE_TUNES, "law", {"spec": {"run": {"placement": {"retries": 9}}}})
    assert (world.user.get(FINE_TUNES, "law") or {})["metadata"]["generation"] == 1
    world.pods.release()
    world.until_phase("Succeeded")


# ---- stopping and going on -----------------------------------------------------------------------------------------------
@scenario(made=TRAIN)
def a_run_is_suspended_and_resumed(world: World) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"])
    world.until_running()
    world.suspend("law", True)
    world.until_phase("Suspended")
    world.until(lambda: not world.alive(), "no pod is left")
    assert world.job("train")["spec"]["suspend"] is True
    world.suspend("law", False)
    world.until_running()
    world.pods.release()
    world.until_phase("Succeeded")
    assert len(world.stage("train")["attempts"]) == 2


@scenario(made=TRAIN)
def a_run_that_is_suspended_before_it_began_takes_nothing(world: World) -> None:
    world.submit(stages=["train"], suspend=True)
    world.until_phase("Suspended")
    world.rest()
    assert not world.jobs()
    world.suspend("law", False)
    world.until_phase("Succeeded")


@scenario(made=TRAIN)
def a_drained_node_costs_no_retry(world: World) -> None:
    world.pods.script(Disrupt(), Disrupt(), Succeed(), stage="train")
    world.submit(stages=["train"], retries=0)
    world.until_phase("Succeeded")
    # Times are whole seconds: which of them came last is not told where all of them fit into one.
    assert [attempt.get("exitCode") for attempt in world.stage("train")["attempts"]].count(0) == 1
    assert len(world.stage("train")["attempts"]) == 3


@scenario("kueue", "stand-in", made=TRAIN)
def kueue_takes_the_quota_back_and_gives_it_again(world: World) -> None:
    assert world.standin is not None
    world.standin.queue("gpus")
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"], queue="gpus")
    world.until_running()
    assert world.condition("Admitted")[0] == "True"
    world.standin.kueue.hold()
    world.standin.kueue.preempt(world.job("train")["metadata"]["name"])
    world.until(lambda: world.condition("Preempted")[0] == "True", "the condition Preempted")
    world.until(lambda: not world.alive(), "no pod is left")
    assert "prioritization" in world.condition("Preempted")[2]
    assert world.phase() != "Failed"
    world.standin.kueue.free()
    world.until_running()
    world.pods.release()
    world.until_phase("Succeeded")
    assert world.condition("Preempted")[0] != "True"


@scenario("kueue", "stand-in", made=TRAIN)
def a_run_in_a_queue_is_suspended_through_its_workload(world: World) -> None:
    assert world.standin is not None
    world.standin.queue("gpus")
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"], queue="gpus")
    world.until_running()
    world.suspend("law", True)
    world.until_phase("Suspended")
    world.until(lambda: not world.alive(), "no pod is left")
    (workload,) = world.standin.list("workloads")
    assert workload["spec"]["active"] is False
    world.suspend("law", False)
    world.until_running()
    world.pods.release()
    world.until_phase("Succeeded")


# ---- failures ------------------------------------------------------------------------------------------------------------
@scenario(made=TRAIN)
def a_failed_pod_with_retries_left_is_no_failed_run(world: World) -> None:
    world.pods.script(Exit(code=1), Work(), stage="train")
    world.submit(stages=["train"], retries=2)
    world.until(lambda: len(world.stage("train").get("attempts", ())) == 2, "a second attempt")
    assert world.phase() == "Running"
    assert world.condition("Failed")[0] != FAILED
    world.pods.release()
    world.until_phase("Succeeded")


@scenario(made=TRAIN)
def retries_are_used_up(world: World) -> None:
    world.pods.script(Exit(code=1, message="the loss is not a number"), stage="train")
    world.submit(stages=["train"], retries=1)
    world.until_phase("Failed")
    status, reason, message = world.condition("Failed")
    assert (status, reason) == (FAILED, "BackoffLimitExceeded")
    assert "the loss is not a number" in message
    assert world.status()["exitCode"] == 1
    assert len(world.stage("train")["attempts"]) == 2


@scenario(made=TRAIN)
def bad_params_fail_at_once_with_the_trainers_own_words(world: World) -> None:
    world.pods.script(Exit(code=78, message="train.lora.r = 0: must be at least 1; edit params.yaml"), stage="train")
    world.submit(stages=["train"], retries=5)
    world.until_phase("Failed")
    status, reason, message = world.condition("Failed")
    assert (status, reason) == (FAILED, "BadConfig")
    assert "train.lora.r = 0" in message
    assert world.status()["exitCode"] == 78
    assert len(world.stage("train")["attempts"]) == 1


@scenario(made={"train": 1, "merge": 1, "evaluate": 1})
def the_gate_says_no(world: World) -> None:
    world.pods.script(Succeed(passed=False, missed=["answers.f1 0.31 < 0.40"]), stage="evaluate")
    world.submit()
    world.until_phase("Failed")
    assert world.condition("GatePassed")[0] == "False"
    assert world.condition("Failed")[1] == "GateSaidNo"
    assert world.status()["exitCode"] == 3
    assert world.status()["passed"] is False
    assert "answers.f1 0.31 < 0.40" in world.condition("GatePassed")[2]
    world.rest()
    assert not [job for job in world.jobs() if job["metadata"]["labels"]["serin.dev/stage"] == "publish"]


@scenario(made=TRAIN)
def no_node_has_room(world: World) -> None:
    world.pods.script(Unschedulable(), stage="train")
    world.submit(stages=["train"])
    world.until(lambda: world.condition("Running")[1] == "Unschedulable", "the reason Unschedulable")
    assert "nvidia.com/gpu" in world.condition("Running")[2]
    assert world.phase() != "Failed"


@scenario(made=TRAIN)
def the_image_is_not_there(world: World) -> None:
    world.pods.script(ImagePull(), stage="train")
    world.submit(stages=["train"])
    world.until(lambda: world.condition("Running")[1] == "ImagePull", "the reason ImagePull")
    assert "registry.example/serin-train:1" in world.condition("Running")[2]


@scenario(made=TRAIN)
def a_secret_is_missing(world: World) -> None:
    world.pods.script(SecretMissing(), stage="train")
    world.submit(stages=["train"], secrets=["s3"])
    world.until(lambda: '"s3"' in world.condition("Running")[2], "the secret's name")
    assert world.condition("Running")[0] == "False"


@scenario(made=TRAIN)
def memory_runs_out(world: World) -> None:
    world.pods.script(OutOfMemory(), stage="train")
    world.submit(stages=["train"], retries=0, train={"memory": "12Gi"})
    world.until_phase("Failed")
    status, reason, message = world.condition("Failed")
    assert (status, reason) == (FAILED, "OOMKilled")
    assert "12Gi" in message


@scenario(made=TRAIN)
def the_kubelet_evicts_a_pod(world: World) -> None:
    world.pods.script(Evict(), Work(), stage="train")
    world.submit(stages=["train"], retries=0)
    world.until(lambda: len(world.stage("train").get("attempts", ())) == 2, "a second attempt")
    assert world.stage("train")["attempts"][0]["reason"] == "Evicted"
    world.pods.release()
    world.until_phase("Succeeded")


@scenario("stand-in", made=TRAIN)
def the_deadline_is_over(world: World) -> None:
    assert world.standin is not None
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"], deadlineS=3600)
    world.until_running()
    world.standin.clock.advance(3601)
    world.until_phase("Failed")
    assert world.condition("Failed")[1] == "DeadlineExceeded"
    assert "3600" in world.condition("Failed")[2] or "1 h" in world.condition("Failed")[2]
    world.until(lambda: not world.alive(), "no pod is left")


@scenario("stand-in", made=TRAIN, stepped=True)
def a_pod_that_leaves_no_result_is_not_done(world: World) -> None:
    assert world.standin is not None
    world.pods.script(CompleteWithoutResult(), stage="train")
    world.submit(stages=["train", "merge"])
    world.until(lambda: world.is_complete("train"), "train's Job is complete")
    world.rest()
    assert world.phase() not in ("Succeeded", "Failed")
    world.standin.clock.advance(3600)
    world.until_phase("Failed")
    assert world.stage("train").get("out") is None


# ---- somebody's hand -----------------------------------------------------------------------------------------------------
@scenario(made={"train": 2})
def a_job_deleted_by_hand_is_made_again_once(world: World) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"])
    world.until_running()
    first = world.job("train")["metadata"]
    world.user.delete(JOBS, first["name"], first["uid"])
    world.until(lambda: world.jobs() and world.job("train")["metadata"]["uid"] != first["uid"], "another Job")
    world.until_running()
    second = world.job("train")["metadata"]
    assert second["name"] == first["name"]
    world.until(lambda: world.stage("train").get("remade") == 1, "the status knows that it was made again")
    world.user.delete(JOBS, second["name"], second["uid"])
    world.until_phase("Failed")
    assert world.condition("Failed")[1] == "JobDeleted"
    world.rest()
    assert not world.jobs()


@scenario(made=TRAIN)
def a_pod_deleted_by_hand_is_replaced(world: World) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"])
    world.until_running()
    pod = world.alive()[0]["metadata"]
    world.user.delete(PODS, pod["name"])
    world.until(lambda: [p for p in world.alive() if p["metadata"]["uid"] != pod["uid"]], "another pod")
    world.pods.release()
    world.until(lambda: world.pods.release() is None and world.phase() == "Succeeded", "law is Succeeded")


@scenario(made=TRAIN)
def a_finetune_deleted_mid_run_takes_everything_with_it(world: World) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"])
    world.until_running()
    world.user.delete(FINE_TUNES, "law")
    world.until(lambda: not world.jobs() and not world.alive(), "nothing is left")
    world.rest()
    assert not world.jobs()


@scenario("stand-in", made={"train": 1, "merge": 1})
def a_job_removed_by_its_ttl_is_not_run_again(world: World) -> None:
    assert world.standin is not None
    world.pods.script(Work(), stage="merge")
    world.submit(stages=["train", "merge"], keepFinishedS=60)
    world.until_running("merge")
    world.standin.clock.advance(61)
    world.until(lambda: len(world.jobs()) == 1, "the Job of train is removed")
    world.rest()
    world.pods.release()
    world.until_phase("Succeeded")
    world.until(lambda: world.is_complete("merge"), "merge's Job is complete")
    world.standin.clock.advance(61)
    world.until(lambda: not world.jobs(), "every Job is removed")
    world.rest()
    assert world.phase() == "Succeeded"


# ---- bad input: told before a GPU is taken -------------------------------------------------------------------------------
@scenario(made={})
def a_dataset_that_storage_lacks(world: World) -> None:
    body = world.finetune("law", ["train"])
    body["spec"]["run"]["inputs"]["dataset"] = "0" * 32 + ".dir"
    world.user.create(FINE_TUNES, body)
    world.until_phase("Failed")
    status, reason, message = world.condition("Accepted")
    assert (status, reason) == ("False", "DatasetMissing")
    assert "0" * 32 in message
    assert world.status()["exitCode"] == 78


@scenario(made={})
def a_base_model_that_is_not_there(world: World) -> None:
    body = world.finetune("law", ["train"])
    body["spec"]["run"]["inputs"]["base"] = "1" * 32 + ".dir"
    world.user.create(FINE_TUNES, body)
    world.until_phase("Failed")
    assert world.condition("Accepted")[:2] == ("False", "BaseMissing")


@scenario("kueue", "stand-in", made={})
def a_queue_that_does_not_exist(world: World) -> None:
    world.submit(stages=["train"], queue="nowhere")
    world.until_phase("Failed")
    status, reason, message = world.condition("Accepted")
    assert (status, reason) == ("False", "QueueMissing")
    assert "nowhere" in message


# ---- several nodes -------------------------------------------------------------------------------------------------------
@scenario("jobset", made=TRAIN)
def two_nodes_train_together(world: World) -> None:
    world.submit(stages=["train"], nodes=2)
    world.until_phase("Succeeded")
    assert world.job("train")["kind"] == "JobSet"
    assert [attempt["gpus"] for attempt in world.stage("train")["attempts"]] == [2]


@scenario("jobset", made=TRAIN)
def one_of_two_nodes_is_drained_and_both_start_again(world: World) -> None:
    world.pods.script(Work(), Disrupt(), Succeed(), stage="train")
    world.submit(stages=["train"], nodes=2, retries=0)
    world.until_phase("Succeeded")
    assert world.job("train")["status"]["restarts"] == 1
    assert world.job("train")["status"]["restartsCountTowardsMax"] == 0


@scenario("jobset", made=TRAIN)
def bad_params_end_a_world_of_two_nodes_at_once(world: World) -> None:
    world.pods.script(Exit(code=78, message="no such optimizer"), stage="train")
    world.submit(stages=["train"], nodes=2, retries=5)
    world.until_phase("Failed")
    assert world.condition("Failed")[1] == "BadConfig"
    assert "no such optimizer" in world.condition("Failed")[2]
    assert world.job("train")["status"].get("restarts", 0) == 0
