"""Serving state through an API server: what two writers, a broken watch and a gateway that dies make of it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from serin.clients.kubernetes import open_cluster
from serin.clients.kubernetes.kinds import CONFIG_MAPS as CONFIG_MAPS_KIND
from serin.clients.kubernetes.kinds import RAY_SERVICES as RAY_SERVICES_KIND
from serin.clients.serving_state import Declared, Seen, Weights
from serin.clients.serving_state.cluster import ClusterState, Patience
from serin.core.errors import RetryableError, ServingError, UsageError

from ....cluster.standin import StandIn

A, B = "law@" + "a" * 64, "law@" + "b" * 64
GATEWAY = {
    "name": "gateway",
    "route_prefix": "/",
    "import_path": "serin.serve.gateway.replica:build",
    "args": {"replicas": 2},
}
HURRIED = Patience(renew_s=0.1, expires_s=1.0, watch_s=30.0)
TIMEOUT_S = 30.0


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn(auto=False) as standin:
        config = {"proxy_location": "EveryNode", "applications": [GATEWAY]}
        standin.create(
            {
                "apiVersion": "ray.io/v1",
                "kind": "RayService",
                "metadata": {"name": "serin-serve"},
                "spec": {"serveConfigV2": yaml.safe_dump(config), "rayClusterConfig": {"rayVersion": "2"}},
            }
        )
        for name in ("weights", "gateways"):
            standin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"serin-serve-{name}"}})
        yield standin


def opened(api: StandIn, patience: Patience = HURRIED) -> ClusterState:
    cluster = open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)})
    return ClusterState(cluster, "serin-serve", Path("/nowhere"), patience)


@pytest.fixture
def state(api: StandIn) -> ClusterState:
    return opened(api)


def declared(**settings: Any) -> Declared:
    return Declared("models/law/a", None, {"commit": "1"}, settings)


def found_in(api: StandIn, plural: str, name: str) -> dict[str, Any]:
    found = api.get(plural, name)
    assert found is not None
    return found


def config_of(api: StandIn) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(found_in(api, "rayservices", "serin-serve")["spec"]["serveConfigV2"])
    return config


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


# ---- weights -------------------------------------------------------------------------------------------------------------
def test_weights_are_nothing_at_first_and_then_what_was_written(state: ClusterState, api: StandIn) -> None:
    assert state.weights() == Weights()
    written = state.change_weights(lambda w: replace(w, stable=A, salt="s", retiring=(B,)))
    assert written.version == 1
    assert opened(api).weights() == written
    assert state.change_weights(lambda w: w) == written


def test_weights_are_made_where_nobody_applied_the_manifest(state: ClusterState) -> None:
    state.cluster.delete(CONFIG_MAPS_KIND, "serin-serve-weights")
    assert state.change_weights(lambda w: replace(w, stable=A)).version == 1


def test_of_writers_at_once_none_is_lost(api: StandIn) -> None:
    def add(name: str) -> None:
        opened(api).change_weights(lambda w: replace(w, retiring=(*w.retiring, name)))

    names = [f"r{number}" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, names))
    weights = opened(api).weights()
    assert sorted(weights.retiring) == sorted(names)
    assert weights.version == len(names)


def test_a_change_that_is_refused_changes_nothing(state: ClusterState) -> None:
    def refused(_: Weights) -> Weights:
        raise UsageError("no")

    with pytest.raises(UsageError):
        state.change_weights(refused)
    assert state.weights() == Weights()


# ---- acknowledgements ------------------------------------------------------------------------------------------------------
def test_every_gateway_is_waited_for(state: ClusterState) -> None:
    state.acknowledge("g1", 2)
    state.acknowledge("g2", 1)
    with pytest.raises(RetryableError, match="g2"):
        state.wait_for_ack(2, timeout_s=0.3)
    state.acknowledge("g2", 3)
    state.wait_for_ack(2, timeout_s=TIMEOUT_S)


def test_a_gateway_that_renews_an_old_version_is_never_taken_for_gone(state: ClusterState, api: StandIn) -> None:
    stopped = threading.Event()
    beside = opened(api)

    def renew() -> None:
        while not stopped.wait(0.1):
            beside.acknowledge("slow", 1)

    state.acknowledge("quick", 2)
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        until(lambda: "slow" in gateways(api), "the slow one acknowledges")
        with pytest.raises(RetryableError, match="slow"):
            state.wait_for_ack(2, timeout_s=3 * HURRIED.expires_s)
    finally:
        stopped.set()
        thread.join()


def test_a_gateway_that_died_is_waited_for_no_longer_than_its_acknowledgement_lasts(
    state: ClusterState, api: StandIn
) -> None:
    state.acknowledge("dead", 1)
    state.acknowledge("alive", 2)
    state.wait_for_ack(2, timeout_s=TIMEOUT_S)
    assert gateways(api).keys() == {"alive"}


def test_no_gateway_at_all_acknowledges_nothing(state: ClusterState) -> None:
    state.acknowledge("g1", 1)
    state.forget("g1")
    with pytest.raises(RetryableError, match="none has ever"):
        state.wait_for_ack(1, timeout_s=0.3)


def gateways(api: StandIn) -> dict[str, str]:
    return dict(found_in(api, "configmaps", "serin-serve-gateways").get("data") or {})


# ---- topology ------------------------------------------------------------------------------------------------------------
def test_a_revision_becomes_an_application_beside_what_is_there(state: ClusterState, api: StandIn) -> None:
    state.change_topology(lambda t: t.with_revision(A, declared(replicas=2)))
    state.change_topology(lambda t: t.with_revision(B, declared()))
    config = config_of(api)
    assert config["proxy_location"] == "EveryNode"
    assert [each["name"] for each in config["applications"]] == ["gateway", "law-aaaaaaaa", "law-bbbbbbbb"]
    assert config["applications"][0] == GATEWAY
    assert config["applications"][1]["route_prefix"] == "/r/law-aaaaaaaa"
    assert opened(api).topology().revisions == {A: declared(replicas=2), B: declared()}
    state.change_topology(lambda t: t.without_revision(A))
    assert [each["name"] for each in config_of(api)["applications"]] == ["gateway", "law-bbbbbbbb"]
    assert found_in(api, "rayservices", "serin-serve")["spec"]["rayClusterConfig"] == {"rayVersion": "2"}


def test_deploys_at_once_are_all_there(api: StandIn) -> None:
    names = [f"law@{digit}" + "0" * 63 for digit in "0123456789"]
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda name: opened(api).change_topology(lambda t: t.with_revision(name, declared())), names))
    assert sorted(opened(api).topology().revisions) == names
    assert config_of(api)["applications"][0] == GATEWAY


def test_status_is_what_serve_says(state: ClusterState) -> None:
    names = {
        state: f"law@{number}" + "0" * 63 for number, state in enumerate(("RUNNING", "DEPLOYING", "DEPLOY_FAILED"))
    }
    for name in names.values():
        state.change_topology(lambda t, name=name: t.with_revision(name, declared()))
    traceback = "Traceback (most recent call last):\n  File x\nValueError: no such dtype\n"
    said = {"law-10000000": {"message": ""}, "law-20000000": {"message": traceback}}
    seen = {
        f"law-{number}0000000": {"status": status, **said.get(f"law-{number}0000000", {})}
        for number, status in enumerate(names)
    }
    seen |= {"law-99999999": {"status": "RUNNING"}, "gateway": {"status": "RUNNING"}}
    show(state, seen)
    found = state.status()
    assert {name: entry.state for name, entry in found.items()} == {
        names["RUNNING"]: "ready",
        names["DEPLOYING"]: "starting",
        names["DEPLOY_FAILED"]: "failed",
        "law-99999999": "draining",
    }
    assert found[names["DEPLOY_FAILED"]].message == "ValueError: no such dtype"


@pytest.mark.parametrize(
    ("application", "deployment", "told"),
    [
        ("DEPLOYING", "UPDATING", "starting"),
        ("DEPLOYING", "UPSCALING", "ready"),
        ("DEPLOYING", "DOWNSCALING", "ready"),
        ("UNHEALTHY", "UNHEALTHY", "ready"),
        ("DEPLOY_FAILED", "DEPLOY_FAILED", "failed"),
    ],
)
def test_a_revision_answers_while_it_scales_or_has_lost_a_replica(
    state: ClusterState, application: str, deployment: str, told: str
) -> None:
    state.change_topology(lambda t: t.with_revision(A, declared(replicas=2)))
    deployments = {"law-aaaaaaaa": {"status": deployment, "message": ""}, "LLMRouter": {"status": "HEALTHY"}}
    show(state, {"law-aaaaaaaa": {"status": application, "serveDeploymentStatuses": deployments}})
    assert state.status()[A].state == told


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's own, when it is imported
def test_scaling_a_revision_restarts_no_replica(state: ClusterState, api: StandIn) -> None:
    from ray.serve._private.deploy_utils import get_app_code_version
    from ray.serve.schema import ServeApplicationSchema

    def version_with(**settings: Any) -> str:
        state.change_topology(lambda t: t.with_revision(A, declared(**settings)))
        assert opened(api).topology().revisions[A].settings == settings
        application = ServeApplicationSchema.model_validate(config_of(api)["applications"][1])
        return get_app_code_version(application)

    one = version_with(gpus=2)
    assert version_with(gpus=2, replicas=2) == version_with(gpus=2, replicas=1) == one
    assert version_with(gpus=4, replicas=1) != one
    (deployment,) = config_of(api)["applications"][1]["deployments"]
    assert deployment == {"name": "LLMServer:law-aaaaaaaa", "num_replicas": 1}


def test_the_bounds_of_autoscaling_may_move_but_not_whether_there_is_any(state: ClusterState, api: StandIn) -> None:
    def scaled(most: int) -> Declared:
        return declared(autoscaling={"min_replicas": 1, "max_replicas": most, "target_ongoing": 8.0})

    for most in (2, 4):
        state.change_topology(lambda t, most=most: t.with_revision(A, scaled(most)))
        assert opened(api).topology().revisions[A] == scaled(most)
    (deployment,) = config_of(api)["applications"][1]["deployments"]
    assert deployment["autoscaling_config"] == {"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 8.0}
    with pytest.raises(ServingError, match="runs with autoscaling, and Serve would restart it"):
        state.change_topology(lambda t: t.with_revision(A, declared(replicas=2)))
    assert opened(api).topology().revisions[A] == scaled(4)


def show(state: ClusterState, applications: dict[str, Any]) -> None:
    """What the operator writes."""
    status = {"activeServiceStatus": {"rayClusterName": "c1", "applicationStatuses": applications}}
    state.cluster.apply_status(RAY_SERVICES_KIND, "serin-serve", {"status": status}, "kuberay")


def test_without_a_rayservice_it_says_what_to_do(state: ClusterState) -> None:
    state.cluster.delete(RAY_SERVICES_KIND, "serin-serve")
    assert not state.serves()
    with pytest.raises(ServingError, match="apply k8s/serving"):
        state.topology()


# ---- what gateways follow ------------------------------------------------------------------------------------------------
@pytest.fixture
def followed(api: StandIn) -> Iterator[list[Seen]]:
    """Everything that a gateway hears."""
    heard: list[Seen] = []
    stopped = threading.Event()
    follower = opened(api)
    thread = threading.Thread(target=follower.follow, args=(heard.append, stopped), daemon=True)
    thread.start()
    until(lambda: bool(heard), "the first look")
    yield heard
    stopped.set()


def test_a_gateway_hears_of_new_weights_and_of_revisions_that_answer(state: ClusterState, followed: list[Seen]) -> None:
    assert followed[-1] == Seen()
    weights = state.change_weights(lambda w: replace(w, stable=A))
    until(lambda: followed[-1].weights == weights, "the weights")
    state.change_topology(lambda t: t.with_revision(A, declared()))
    until(lambda: followed[-1] == Seen(weights, starting=frozenset({A})), "the revision that starts")
    show(state, {"law-aaaaaaaa": {"status": "RUNNING"}})
    until(lambda: followed[-1] == Seen(weights, frozenset({A})), "the revision")


@pytest.mark.parametrize("sort", ["end_watch", "forget", "answer"])
def test_a_watch_that_breaks_is_made_anew(state: ClusterState, api: StandIn, followed: list[Seen], sort: str) -> None:
    for resource in ("configmaps", "rayservices"):
        api.faults.add(sort, verb="watch", resource=resource, times=2)
    for number in range(1, 6):
        weights = state.change_weights(lambda w, number=number: replace(w, salt=str(number)))
        until(lambda weights=weights: followed[-1].weights == weights, f"version {weights.version}")


def test_while_the_api_server_is_away_the_last_weights_stay(
    state: ClusterState, api: StandIn, followed: list[Seen]
) -> None:
    weights = state.change_weights(lambda w: replace(w, stable=A))
    until(lambda: followed[-1].weights == weights, "the weights")
    heard = len(followed)
    away = api.faults.add("answer", times=40, code=503)
    with pytest.raises(RetryableError):
        opened(api).weights()
    assert away.befell.is_set()
    assert all(seen.weights == weights for seen in followed[heard:])
    api.faults.clear()
    later = state.change_weights(lambda w: replace(w, stable=B))
    until(lambda: followed[-1].weights == later, "it hears again")


def test_damaged_weights_change_nothing(state: ClusterState, followed: list[Seen]) -> None:
    weights = state.change_weights(lambda w: replace(w, stable=A))
    until(lambda: followed[-1].weights == weights, "the weights")
    state.cluster.patch(CONFIG_MAPS_KIND, "serin-serve-weights", {"data": {"weights.json": "{"}})
    heard = len(followed)
    time.sleep(0.3)
    assert len(followed) == heard
