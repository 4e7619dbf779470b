"""The controller as a process against the stand-in API server: what it survives, and when it ends itself."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from serin.clients.kubernetes import Cluster, open_cluster
from serin.clients.kubernetes.kinds import FINE_TUNES, JOBS, LEASES
from serin.clients.storage import open_storage
from serin.controller.crds import manifests
from serin.core.params import StorageParams

from ..cluster.simulated import Simulated
from ..cluster.standin import StandIn, Unschedulable, Work
from ..cluster.world import World
from .s3_faults import Fault, faulty_s3

LEASE_S = 8.0


class Patience:
    """The cluster and the controller work by themselves."""

    def turn(self) -> None:
        time.sleep(0.02)


class Process:
    """``serin controller run``; its log goes to a file."""

    def __init__(self, api: StandIn, log: Path) -> None:
        self.log = log
        self.ports = {"metrics": _free_port(), "health": _free_port()}
        command = [sys.executable, "-m", "serin", "controller", "run", "--lease-s", str(LEASE_S)]
        for name, port in self.ports.items():
            command += [f"--{name}-port", str(port)]
        with log.open("w") as file:
            environment = {**os.environ, "KUBECONFIG": str(api.kubeconfig)}
            self.process = subprocess.Popen(command, env=environment, stderr=file)

    def page(self, port: str, path: str) -> tuple[int, str]:
        """Code and text of ``/metrics``, ``/healthz`` or ``/readyz``; 0 while nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[port]}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def leads(self) -> bool:
        """Whether it says that it acts."""
        return "serin_leader 1.0" in self.page("metrics", "/metrics")[1]

    def logged(self) -> list[dict[str, Any]]:
        """Its log; every line of it is JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def end(self) -> int:
        """Terminate it; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def _free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def user(api: StandIn) -> Cluster:
    # The stand-in compiles the CRDs' rules when the first object comes.
    return open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)}, timeout_s=60.0)


@pytest.fixture
def world(api: StandIn, user: Cluster, tmp_path: Path, s3_endpoint: str) -> World:
    params = {"url": f"s3://serin/{tmp_path.name}", "endpoint_url": s3_endpoint}
    return World(user, Simulated(api), open_storage(StorageParams.model_validate(params)), params, Patience())


@pytest.fixture
def start(api: StandIn, tmp_path: Path) -> Iterator[Callable[[], Process]]:
    started: list[Process] = []

    def begin() -> Process:
        started.append(Process(api, tmp_path / f"controller-{len(started)}.log"))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        with suppress(subprocess.TimeoutExpired):
            each.process.wait(10)


def until(holds: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it never came to this: {what}"
        time.sleep(0.05)


def holder(user: Cluster) -> str:
    lease = user.get(LEASES, "serin-controller")
    return str(lease["spec"]["holderIdentity"]) if lease else ""


def test_a_run_goes_through_and_the_controller_leaves_in_order(
    world: World, user: Cluster, start: Callable[[], Process]
) -> None:
    controller = start()
    world.submit()
    world.until_phase("Succeeded")
    assert controller.page("health", "/readyz") == (200, "ok\n")
    assert controller.page("health", "/healthz") == (200, "ok\n")
    # The status comes first, and its figures a moment later.
    until(
        lambda: 'serin_finetunes{phase="Succeeded"} 1.0' in controller.page("metrics", "/metrics")[1], "it is counted"
    )
    figures = controller.page("metrics", "/metrics")[1]
    assert 'serin_jobs_created_total{stage="train"} 1.0' in figures
    assert 'serin_api_requests_total{code="201",resource="jobs",verb="create"} 4.0' in figures
    assert controller.end() == 0
    assert holder(user) == ""
    assert {line["message"] for line in controller.logged()} >= {"this is the leader", "a job is created"}


def test_while_nothing_happens_it_neither_writes_nor_lists(
    world: World, api: StandIn, start: Callable[[], Process]
) -> None:
    controller = start()
    world.pods.default = Work()
    world.submit()
    world.until_running()
    time.sleep(2)
    before = len(api.calls)
    time.sleep(3)
    since = {(call.verb, call.resource) for call in api.calls[before:] if call.verb != "watch"}
    assert since == {("update", "leases")}, "watches alone are asked for anew"
    assert controller.leads()


def test_of_two_controllers_one_acts_and_the_other_one_takes_over(world: World, start: Callable[[], Process]) -> None:
    first, second = start(), start()
    until(lambda: first.leads() or second.leads(), "one of them leads")
    until(lambda: all(each.page("health", "/readyz")[0] == 200 for each in (first, second)), "both are ready")
    leader, waiting = (first, second) if first.leads() else (second, first)
    world.submit("one", ["train"])
    world.until_phase("Succeeded", "one")
    assert not waiting.leads()
    assert 'verb="create"' not in "".join(
        line for line in waiting.page("metrics", "/metrics")[1].splitlines() if 'resource="jobs"' in line
    )
    leader.process.kill()
    world.submit("two", ["train"])
    world.until_phase("Succeeded", "two")
    assert waiting.leads()
    assert set(world.made.values()) == {1}


@pytest.mark.parametrize("sort", ["stall", "stall_after"])
def test_a_lease_lost_while_a_request_never_returns_ends_the_process(
    world: World, api: StandIn, user: Cluster, start: Callable[[], Process], sort: Any
) -> None:
    controller = start()
    until(controller.leads, "it leads")
    api.faults.add(sort, verb="create", resource="jobs")
    world.submit("law", ["train"])
    until(lambda: any((c.verb, c.resource) == ("create", "jobs") for c in api.calls), "it creates the Job")
    lease = user.get(LEASES, "serin-controller")
    assert lease is not None
    spec = {"holderIdentity": "another", "leaseDurationSeconds": 1, "renewTime": "2030-01-01T00:00:00.000000Z"}
    user.patch(LEASES, "serin-controller", {"spec": spec})
    assert controller.process.wait(2 * LEASE_S) == 1
    assert controller.logged()[-1]["message"] == "the lease is lost"
    start()
    world.until_phase("Succeeded")
    assert world.made["law", "train"] == 1


def test_an_api_server_that_stalls_every_renewal_costs_it_the_lease(api: StandIn, start: Callable[[], Process]) -> None:
    controller = start()
    until(controller.leads, "it leads")
    api.faults.add("stall", resource="leases", times=1000)
    assert controller.process.wait(4 * LEASE_S) == 1


def _without_rules(crd: dict[str, Any]) -> dict[str, Any]:
    """A CRD that takes everything, as one of another version may."""
    loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": loose, "status": loose}}
    versions = [{**version, "schema": {"openAPIV3Schema": schema}} for version in crd["spec"]["versions"]]
    return {**crd, "spec": {**crd["spec"], "versions": versions}}


def test_an_object_of_another_schema_is_refused_and_stops_no_other(tmp_path: Path, s3_endpoint: str) -> None:
    params = {"url": f"s3://serin/{tmp_path.name}", "endpoint_url": s3_endpoint}
    with StandIn(crds=[_without_rules(crd) for crd in manifests()]) as api:
        user = open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)}, timeout_s=60.0)
        world = World(user, Simulated(api), open_storage(StorageParams.model_validate(params)), params, Patience())
        bad = world.finetune("bad", ["train"])
        user.create(FINE_TUNES, {**bad, "spec": {"run": {**bad["spec"]["run"], "inputs": 7}}})
        controller = Process(api, tmp_path / "log")
        try:
            world.submit("good", ["train"])
            world.until_phase("Succeeded", "good")
            world.until(lambda: world.condition("Accepted", "bad")[:2] == ("False", "BadParams"), "it is refused")
            assert "spec.run.inputs" in world.condition("Accepted", "bad")[2]
        finally:
            controller.process.kill()
            controller.process.wait(10)


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ({"inputs": {"dataset": "0" * 32 + ".dir"}}, "DatasetMissing", "serin job submit"),
        ({"inputs": {"base": "0" * 32 + ".dir"}}, "BaseMissing", "spec.run.inputs.base"),
        ({"inputs": {"model": "0" * 32 + ".dir"}}, "BaseMissing", "spec.run.inputs.model"),
        ({"placement": {"queue": "nowhere"}}, "QueueMissing", "kubectl get localqueues"),
        ({"storage": {"url": "s3://no-such-bucket/p"}}, "BucketMissing", "create it, or edit storage.url"),
    ],
    ids=lambda value: value if isinstance(value, str) and value[0].isupper() else "",
)
def test_what_a_schema_cannot_see_is_refused_before_a_job_is_made(
    world: World, user: Cluster, start: Callable[[], Process], change: dict[str, Any], reason: str, words: str
) -> None:
    start()
    finetune = world.finetune("law", ["train"])
    run = finetune["spec"]["run"]
    run["inputs"] |= change.get("inputs", {})
    run["placement"] |= change.get("placement", {})
    run["params"]["storage"] |= change.get("storage", {})
    user.create(FINE_TUNES, finetune)
    world.until_phase("Failed")
    assert world.condition("Accepted")[:2] == ("False", reason)
    assert words in world.condition("Accepted")[2]
    assert world.condition("Failed")[1] == reason
    assert world.status()["exitCode"] == 78
    assert not world.made


def test_a_bucket_that_may_not_be_read_is_refused(
    world: World, user: Cluster, start: Callable[[], Process], s3_endpoint: str
) -> None:
    start()
    with faulty_s3(s3_endpoint) as line:
        finetune = world.finetune("law", ["train"])
        finetune["spec"]["run"]["params"]["storage"]["endpoint_url"] = line.url
        line.faults.append(Fault("error", "GET /", times=1000, status=403, code="AccessDenied"))
        user.create(FINE_TUNES, finetune)
        world.until_phase("Failed")
    assert world.condition("Accepted")[:2] == ("False", "StorageForbidden")
    assert "AccessDenied" in world.condition("Accepted")[2]
    assert not world.made


def test_a_controller_that_may_only_read_from_storage_is_enough(
    world: World, user: Cluster, start: Callable[[], Process], s3_endpoint: str
) -> None:
    start()
    with faulty_s3(s3_endpoint) as line:
        finetune = world.finetune("law", ["train"])
        finetune["spec"]["run"]["params"]["storage"]["endpoint_url"] = line.url
        world.pods.default = Unschedulable()
        line.faults.append(Fault("error", "^(PUT|POST|DELETE) ", times=1000, status=403, code="AccessDenied"))
        user.create(FINE_TUNES, finetune)
        world.until(lambda: world.condition("Running")[1] == "Unschedulable", "its Job is made")
        assert world.condition("Accepted")[:2] == ("True", "InputsFound")
        assert line.faults[0].seen == 0


def test_a_storage_that_does_not_answer_is_asked_again_until_it_does(
    world: World, user: Cluster, start: Callable[[], Process], s3_endpoint: str
) -> None:
    start()
    with faulty_s3(s3_endpoint) as line:
        finetune = world.finetune("law", ["train"])
        params = finetune["spec"]["run"]["params"]
        params["storage"] = params["storage"] | {"endpoint_url": line.url}
        line.faults.append(Fault("error", " /", times=1_000_000, status=503, code="SlowDown"))
        user.create(FINE_TUNES, finetune)
        world.until(lambda: world.condition("Accepted")[:2] == ("Unknown", "NoAnswer"), "storage does not answer")
        assert "try again later" in world.condition("Accepted")[2]
        assert world.condition("StorageUnreachable")[:2] == ("True", "NoAnswer")
        world.submit("other", ["train"])
        world.until_phase("Succeeded", "other")
        assert world.phase() == "Pending"
        line.faults.clear()
        world.until_phase("Succeeded")
        assert world.condition("StorageUnreachable")[0] == "False"


def test_a_namespace_without_the_crd_is_not_ready_and_says_why(tmp_path: Path) -> None:
    with StandIn(crds=[]) as api:
        controller = Process(api, tmp_path / "log")
        try:
            until(lambda: controller.page("health", "/readyz")[0] == 503, "it answers")
            assert "finetunes are not listed yet" in controller.page("health", "/readyz")[1]
            assert controller.page("health", "/healthz")[0] == 200
            until(lambda: any("CRD" in str(line.get("error")) for line in controller.logged()), "the log says it")
        finally:
            controller.process.kill()
            controller.process.wait(10)


def test_jobs_of_others_are_left_alone(world: World, user: Cluster, start: Callable[[], Process]) -> None:
    start()
    world.submit("law", ["train"])
    world.until_phase("Succeeded")
    assert [job["metadata"]["name"] for job in user.list(JOBS)[0]] == [world.job("train")["metadata"]["name"]]
