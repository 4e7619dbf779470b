"""The controller over HTTP: its own threads, watches and time-outs, against an API server that misbehaves; and its processes,
which are killed, and fight for one Lease."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.clients.kubernetes import open_cluster
from serin.clients.storage import S3Storage
from serin.core.task import STAGES

from ..integration.conftest import s3_endpoint  # noqa: F401 - a fixture
from .controllers import Processes, Threads
from .scenarios import SCENARIOS, Scenario
from .simulated import Simulated
from .standin import StandIn, Work
from .world import Controller, World

ACCESS = Path(__file__).parents[2] / "k8s" / "base" / "access.yaml"
THREADED = [scenario for scenario in SCENARIOS if not scenario.stepped]


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """A cluster that works by itself, and lets a controller do what its Role says."""
    objects = yaml.safe_load_all(ACCESS.read_text())
    (role,) = [each for each in objects if each["kind"] == "Role" and each["metadata"]["name"] == "serin-controller"]
    with StandIn() as standin:
        for token in ("controller", "first", "second"):
            standin.access.rules[token] = role["rules"]
        yield standin
        assert not standin.jobs.violations
        assert not [call for call in standin.calls if call.code == 403]


@pytest.fixture
def where(s3_endpoint: str, request: pytest.FixtureRequest) -> dict[str, Any]:  # noqa: F811
    """Storage of one test."""
    return {"url": f"s3://serin/{request.node.name[:60]}", "endpoint_url": s3_endpoint}


def world_of(standin: StandIn, where: dict[str, Any], controller: Controller) -> World:
    """A user's view over HTTP, which no fault befalls."""
    user = open_cluster(standin.namespace, None, {"KUBECONFIG": str(standin.kubeconfig_of("user"))})
    storage = S3Storage(where["url"], where["endpoint_url"])
    return World(user, Simulated(standin), storage, where, controller)


# ---- in threads ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scenario", THREADED, ids=[scenario.name for scenario in THREADED])
def test_scenario_over_http(scenario: Scenario, standin: StandIn, where: dict[str, Any]) -> None:
    with Threads(standin, standin.kubeconfig_of("controller")) as controller:
        world = world_of(standin, where, controller)
        scenario.tell(world)
        assert world.made == scenario.made
        assert not controller.left


MISBEHAVIOUR = {
    "409": {"sort": "answer", "code": 409},
    "410": {"sort": "answer", "code": 410},
    "429": {"sort": "answer", "code": 429, "headers": {"Retry-After": "1"}},
    "500": {"sort": "answer", "code": 500},
    "503": {"sort": "answer", "code": 503},
    "reset before it acted": {"sort": "reset_before"},
    "reset after it acted": {"sort": "reset_after"},
    "no answer": {"sort": "stall"},
    "no answer though it acted": {"sort": "stall_after"},
}


@pytest.mark.parametrize("how", MISBEHAVIOUR.values(), ids=MISBEHAVIOUR.keys())
def test_an_api_server_that_misbehaves_changes_nothing_in_the_end(
    how: dict[str, Any], standin: StandIn, where: dict[str, Any]
) -> None:
    for verb, resource in (
        ("create", "jobs"),
        ("patch", "finetunes/status"),
        ("list", "jobs"),
        ("watch", "pods"),
        ("watch", "jobs"),
    ):
        standin.faults.add(verb=verb, resource=resource, token="controller", skip=1 if verb == "create" else 0, **how)
    with Threads(standin, standin.kubeconfig_of("controller")) as controller:
        world = world_of(standin, where, controller)
        world.submit(stages=["train", "merge"])
        world.until_phase("Succeeded")
        assert world.made == {("law", "train"): 1, ("law", "merge"): 1}


def test_a_watch_that_ends_or_forgets_misses_nothing(standin: StandIn, where: dict[str, Any]) -> None:
    standin.faults.add("end_watch", token="controller", times=4)
    standin.pods.script(Work(), stage="train")
    with Threads(standin, standin.kubeconfig_of("controller")) as controller:
        world = world_of(standin, where, controller)
        world.submit(stages=["train"])
        world.until_running()
        standin.store.forget()
        world.pods.release()
        world.until_phase("Succeeded")


def test_a_quiet_cluster_is_left_in_peace(standin: StandIn, where: dict[str, Any]) -> None:
    with Threads(standin, standin.kubeconfig_of("controller")) as controller:
        world = world_of(standin, where, controller)
        world.submit(stages=["train"])
        world.until_phase("Succeeded")
        world.until(lambda: world.is_complete("train"), "the Job is complete")
        world.rest(100)
        before = len(standin.calls)
        world.rest(250)
        calls = [call for call in standin.calls[before:] if call.token == "controller"]
        assert {(call.verb, call.resource) for call in calls if call.verb not in ("list", "watch")} <= {
            ("get", "leases"),
            ("update", "leases"),
        }
        assert any(call.resource == "leases" for call in calls)


# ---- as processes --------------------------------------------------------------------------------------------------------
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
