"""Runs that go as they should."""

import pytest

from serin.clients.kubernetes import InvalidError
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.core.task import STAGES

from ..kubelet import Work
from ..world import World
from .scenario import ALL, TRAIN, scenario


@scenario("jobs", made=ALL)
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


@scenario("jobs", made={"train": 1, "merge": 1}, names=[f"run-{i:02d}" for i in range(50)], matrix=False)
def fifty_runs_at_once(world: World) -> None:
    names = [f"run-{i:02d}" for i in range(50)]
    for name in names:
        world.submit(name, stages=["train", "merge"])
    world.until(lambda: all(world.phase(name) == "Succeeded" for name in names), "all fifty succeed")


@scenario("jobs", made=TRAIN)
def a_change_of_the_run_is_refused(world: World) -> None:
    world.pods.script(Work(), stage="train")
    world.submit(stages=["train"])
    world.until_running()
    with pytest.raises(InvalidError):
        world.user.patch(FINE_TUNES, "law", {"spec": {"run": {"placement": {"retries": 9}}}})
    assert (world.user.get(FINE_TUNES, "law") or {})["metadata"]["generation"] == 1
    world.pods.release()
    world.until_phase("Succeeded")
