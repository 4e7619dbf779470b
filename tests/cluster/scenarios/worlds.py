"""Several nodes that train together, by JobSet."""

from ..kubelet import Disrupt, Exit, Succeed, Work
from ..world import World
from .scenario import TRAIN, scenario


@scenario("jobs", "jobset", made=TRAIN)
def two_nodes_train_together(world: World) -> None:
    world.submit(stages=["train"], nodes=2)
    world.until_phase("Succeeded")
    assert world.job("train")["kind"] == "JobSet"
    assert [attempt["gpus"] for attempt in world.stage("train")["attempts"]] == [2]


@scenario("jobs", "jobset", made=TRAIN)
def one_of_two_nodes_is_drained_and_both_start_again(world: World) -> None:
    world.pods.script(Work(), Disrupt(), Succeed(), stage="train")
    world.submit(stages=["train"], nodes=2, retries=0)
    world.until_phase("Succeeded")
    assert world.job("train")["status"]["restarts"] == 1
    assert world.job("train")["status"]["restartsCountTowardsMax"] == 0


@scenario("jobs", "jobset", made=TRAIN)
def bad_params_end_a_world_of_two_nodes_at_once(world: World) -> None:
    world.pods.script(Exit(code=78, message="no such optimizer"), stage="train")
    world.submit(stages=["train"], nodes=2, retries=5)
    assert "no such optimizer" in world.until_failed("BadConfig")
    assert world.job("train")["status"].get("restarts", 0) == 0
