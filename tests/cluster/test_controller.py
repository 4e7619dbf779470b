"""The controller over HTTP: its own threads, watches and time-outs, against an API server that misbehaves."""

from typing import Any

import pytest

from .controllers import Threads, world_of
from .scenarios import SCENARIOS, Scenario
from .standin import StandIn, Work

THREADED = [scenario for scenario in SCENARIOS if not scenario.stepped]


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
