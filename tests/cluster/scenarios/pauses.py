"""Runs that are stopped, by whom ever, and go on."""

from serin.clients.kubernetes.kinds import WORKLOADS

from ..kubelet import Disrupt, Succeed, Work
from ..world import World
from .scenario import TRAIN, scenario


@scenario("jobs", made=TRAIN)
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


@scenario("jobs", made=TRAIN)
def a_run_that_is_suspended_before_it_began_takes_nothing(world: World) -> None:
    world.submit(stages=["train"], suspend=True)
    world.until_phase("Suspended")
    world.rest()
    assert not world.jobs()
    world.suspend("law", False)
    world.until_phase("Succeeded")


@scenario("jobs", made=TRAIN)
def a_drained_node_costs_no_retry(world: World) -> None:
    world.pods.script(Disrupt(), Disrupt(), Succeed(), stage="train")
    world.submit(stages=["train"], retries=0)
    world.until_phase("Succeeded")
    # Times are whole seconds: which of them came last is not told where all of them fit into one.
    assert [attempt.get("exitCode") for attempt in world.stage("train")["attempts"]].count(0) == 1
    assert len(world.stage("train")["attempts"]) == 3


@scenario("jobs", "kueue", made=TRAIN)
def kueue_takes_the_quota_back_and_gives_it_again(world: World) -> None:
    world.queues.make("gpus")
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"], queue="gpus")
    world.until_running()
    assert world.condition("Admitted")[0] == "True"
    world.queues.take_back(world.job("train")["metadata"]["name"])
    world.until(lambda: world.condition("Preempted")[0] == "True", "the condition Preempted")
    world.until(lambda: not world.alive(), "no pod is left")
    assert "prioritization" in world.condition("Preempted")[2]
    assert world.phase() != "Failed"
    world.queues.give_again()
    world.until_running()
    world.pods.release()
    world.until_phase("Succeeded")
    assert world.condition("Preempted")[0] != "True"


@scenario("jobs", "kueue", made=TRAIN)
def a_run_in_a_queue_is_suspended_through_its_workload(world: World) -> None:
    world.queues.make("gpus")
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"], queue="gpus")
    world.until_running()
    world.suspend("law", True)
    world.until_phase("Suspended")
    world.until(lambda: not world.alive(), "no pod is left")
    (workload,) = world.user.list(WORKLOADS)[0]
    assert workload["spec"]["active"] is False
    world.suspend("law", False)
    world.until_running()
    world.pods.release()
    world.until_phase("Succeeded")
