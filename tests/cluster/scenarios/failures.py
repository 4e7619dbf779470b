"""Pods that fail, and pods that never start."""

from ..kubelet import (
    CompleteWithoutResult,
    Evict,
    Exit,
    ImagePull,
    OutOfMemory,
    SecretMissing,
    Succeed,
    Unschedulable,
    Work,
)
from ..world import World
from .scenario import TRAIN, scenario


@scenario("jobs", made=TRAIN)
def a_failed_pod_with_retries_left_is_no_failed_run(world: World) -> None:
    world.pods.script(Exit(code=1), Work(), stage="train")
    world.submit(stages=["train"], retries=2)
    world.until(lambda: len(world.stage("train").get("attempts", ())) == 2, "a second attempt")
    assert world.phase() == "Running"
    assert world.condition("Failed")[0] != "True"
    world.pods.release()
    world.until_phase("Succeeded")


@scenario("jobs", made=TRAIN)
def retries_are_used_up(world: World) -> None:
    world.pods.script(Exit(code=1, message="the loss is not a number"), stage="train")
    world.submit(stages=["train"], retries=1)
    assert "the loss is not a number" in world.until_failed("BackoffLimitExceeded")
    assert world.status()["exitCode"] == 1
    assert len(world.stage("train")["attempts"]) == 2


@scenario("jobs", made=TRAIN)
def bad_params_fail_at_once_with_the_trainers_own_words(world: World) -> None:
    world.pods.script(Exit(code=78, message="train.lora.r = 0: must be at least 1; edit params.yaml"), stage="train")
    world.submit(stages=["train"], retries=5)
    assert "train.lora.r = 0" in world.until_failed("BadConfig")
    assert world.status()["exitCode"] == 78
    assert len(world.stage("train")["attempts"]) == 1


@scenario("jobs", made={"train": 1, "merge": 1, "evaluate": 1})
def the_gate_says_no(world: World) -> None:
    world.pods.script(Succeed(passed=False, missed=["answers.f1 0.31 < 0.40"]), stage="evaluate")
    world.submit()
    world.until_failed("GateSaidNo")
    assert world.condition("GatePassed")[0] == "False"
    assert world.status()["exitCode"] == 3
    assert world.status()["passed"] is False
    assert "answers.f1 0.31 < 0.40" in world.condition("GatePassed")[2]
    world.rest()
    assert not [job for job in world.jobs() if job["metadata"]["labels"]["serin.dev/stage"] == "publish"]


@scenario("jobs", made=TRAIN)
def no_node_has_room(world: World) -> None:
    world.pods.script(Unschedulable(), stage="train")
    world.submit(stages=["train"])
    world.until(lambda: world.condition("Running")[1] == "Unschedulable", "the reason Unschedulable")
    assert "nvidia.com/gpu" in world.condition("Running")[2]
    assert world.phase() != "Failed"


@scenario("jobs", made=TRAIN)
def the_image_is_not_there(world: World) -> None:
    world.pods.script(ImagePull(), stage="train")
    world.submit(stages=["train"])
    world.until(lambda: world.condition("Running")[1] == "ImagePull", "the reason ImagePull")
    assert "registry.example/serin-train:1" in world.condition("Running")[2]


@scenario("jobs", made=TRAIN)
def a_secret_is_missing(world: World) -> None:
    world.pods.script(SecretMissing(), stage="train")
    world.submit(stages=["train"], secrets=["s3"])
    world.until(lambda: '"s3"' in world.condition("Running")[2], "the secret's name")
    assert world.condition("Running")[0] == "False"


@scenario("jobs", made=TRAIN)
def memory_runs_out(world: World) -> None:
    world.pods.script(OutOfMemory(), stage="train")
    world.submit(stages=["train"], retries=0, train={"memory": "12Gi"})
    assert "12Gi" in world.until_failed("OOMKilled")


@scenario("jobs", made=TRAIN)
def the_kubelet_evicts_a_pod(world: World) -> None:
    world.pods.script(Evict(), Work(), stage="train")
    world.submit(stages=["train"], retries=0)
    world.until(lambda: len(world.stage("train").get("attempts", ())) == 2, "a second attempt")
    assert world.stage("train")["attempts"][0]["reason"] == "Evicted"
    world.pods.release()
    world.until_phase("Succeeded")


@scenario("jobs", made=TRAIN)
def the_deadline_is_over(world: World) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"], deadlineS=60)
    world.until_running()
    world.pass_time(61)
    assert "60 s" in world.until_failed("DeadlineExceeded")
    world.until(lambda: not world.alive(), "no pod is left")


@scenario("jobs", "clock", made=TRAIN, stepped=True)
def a_pod_that_leaves_no_result_is_not_done(world: World) -> None:
    world.pods.script(CompleteWithoutResult(), stage="train")
    world.submit(stages=["train", "merge"])
    world.until(lambda: world.is_complete("train"), "train's Job is complete")
    world.rest()
    assert world.phase() not in ("Succeeded", "Failed")
    world.pass_time(3600)
    world.until_phase("Failed")
    assert world.stage("train").get("out") is None
