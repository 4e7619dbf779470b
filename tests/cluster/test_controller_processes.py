"""The controller's processes, which are killed, and fight for one Lease."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serin.core.task import STAGES

from .controllers import Processes, world_of
from .standin import StandIn, Work


@pytest.fixture
def processes(standin: StandIn, tmp_path: Path) -> Iterator[Processes]:
    """``serin controller run`` with the credentials of the S3 server, and the Role that it is installed with."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    with Processes(standin.kubeconfig_of, tmp_path, environment) as processes:
        yield processes


@pytest.mark.parametrize(
    ("sort", "verb", "resource"),
    [
        ("stall", "create", "jobs"),
        ("stall_after", "create", "jobs"),
        ("stall_after", "patch", "finetunes/status"),
    ],
    ids=["before a Job is created", "after a Job is created", "after a status is written"],
)
def test_a_process_that_is_killed_at_a_request_is_followed_by_another(
    sort: Any, verb: str, resource: str, standin: StandIn, where: dict[str, Any], processes: Processes
) -> None:
    fault = standin.faults.add(sort, verb=verb, resource=resource, token="controller")
    processes.start()
    world = world_of(standin, where, processes)
    world.submit()
    world.until(fault.befell.is_set, "the request is made")
    processes.kill()
    processes.start()
    world.until_phase("Succeeded")
    assert world.made == dict.fromkeys((("law", stage) for stage in STAGES), 1)


def test_of_two_controllers_one_acts_and_the_other_takes_over(
    standin: StandIn, where: dict[str, Any], processes: Processes
) -> None:
    standin.pods.script(Work(), stage="train")
    processes.start("first")
    world = world_of(standin, where, processes)
    world.submit(stages=["train", "merge"])
    world.until_running()
    processes.start("second")
    world.until(
        lambda: [c for c in standin.calls if c.token == "second" and c.resource == "leases"], "the second one waits"
    )
    world.rest(50)
    assert not [c for c in standin.calls if c.token == "second" and c.verb in ("create", "patch", "update", "delete")]
    processes.kill("first")
    world.pods.release()
    world.until_phase("Succeeded")
    assert world.made == {("law", "train"): 1, ("law", "merge"): 1}
    assert [c for c in standin.calls if c.token == "second" and (c.verb, c.resource) == ("create", "jobs")]


def test_a_lease_lost_while_a_request_is_in_flight_ends_the_process_and_makes_no_second_job(
    standin: StandIn, where: dict[str, Any], processes: Processes
) -> None:
    late = standin.faults.add("late", verb="create", resource="jobs", token="first")
    processes.start("first")
    world = world_of(standin, where, processes)
    world.submit(stages=["train"])
    world.until(late.befell.is_set, "a Job is asked for, and the request is on its way")
    for verb in ("get", "update"):
        standin.faults.add("stall", verb=verb, resource="leases", token="first", times=1000)
    processes.start("second")
    assert processes.ended("first") == 1
    assert "the lease is lost" in processes.log("first")
    world.until_phase("Succeeded")
    late.let_go.set()
    world.until(
        lambda: [c for c in standin.calls if c.token == "first" and c.resource == "jobs" and c.code == 409],
        "it comes late",
    )
    world.rest(20)
    assert world.made == {("law", "train"): 1}
    assert world.phase() == "Succeeded"


def test_a_request_that_never_returns_is_given_up(
    standin: StandIn, where: dict[str, Any], processes: Processes
) -> None:
    stalled = standin.faults.add("stall", verb="create", resource="jobs", token="controller", times=2)
    processes.start()
    world = world_of(standin, where, processes)
    world.submit(stages=["train"])
    world.until(stalled.befell.is_set, "the request is made")
    world.until_phase("Succeeded")
    assert world.made == {("law", "train"): 1}
    transitions = (standin.get("leases", "serin-controller") or {})["spec"]["leaseTransitions"]
    assert transitions == 0


def test_sigterm_lets_the_next_one_act_at_once(standin: StandIn, where: dict[str, Any], processes: Processes) -> None:
    standin.pods.script(Work(), stage="train")
    first = processes.start("first")
    world = world_of(standin, where, processes)
    world.submit(stages=["train"])
    world.until_running()
    first.terminate()
    assert processes.ended("first") == 0
    assert (standin.get("leases", "serin-controller") or {})["spec"]["holderIdentity"] == ""
    processes.start("second")
    world.pods.release()
    world.until_phase("Succeeded")
    assert world.made == {("law", "train"): 1}
