"""Somebody deletes things, or time does."""

from serin.clients.kubernetes.kinds import FINE_TUNES, JOBS, PODS

from ..kubelet import Work
from ..world import World
from .scenario import TRAIN, scenario


@scenario("jobs", made={"train": 2})
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
    world.until_failed("JobDeleted")
    world.rest()
    assert not world.jobs()


@scenario("jobs", made=TRAIN)
def a_pod_deleted_by_hand_is_replaced(world: World) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"])
    world.until_running()
    pod = world.alive()[0]["metadata"]
    world.user.delete(PODS, pod["name"])
    world.until(lambda: [p for p in world.alive() if p["metadata"]["uid"] != pod["uid"]], "another pod")
    world.pods.release()
    world.until(lambda: world.pods.release() is None and world.phase() == "Succeeded", "law is Succeeded")


@scenario("jobs", made=TRAIN)
def a_finetune_deleted_mid_run_takes_everything_with_it(world: World) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"])
    world.until_running()
    world.user.delete(FINE_TUNES, "law")
    world.until(lambda: not world.jobs() and not world.user.list(PODS)[0], "nothing is left")
    world.rest()
    assert not world.jobs()


@scenario("jobs", made={"train": 1, "merge": 1})
def a_job_removed_by_its_ttl_is_not_run_again(world: World) -> None:
    world.pods.script(Work(), stage="merge")
    world.submit(stages=["train", "merge"], keepFinishedS=60)
    world.until_running("merge")
    world.pass_time(61)
    world.until(lambda: len(world.jobs()) == 1, "the Job of train is removed")
    world.rest()
    world.pods.release()
    world.until_phase("Succeeded")
    world.until(lambda: world.is_complete("merge"), "merge's Job is complete")
    world.pass_time(61)
    world.until(lambda: not world.jobs(), "every Job is removed")
    world.rest()
    assert world.phase() == "Succeeded"
