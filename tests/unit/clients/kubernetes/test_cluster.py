"""Objects through HTTP, as callers see them, and what each refusal becomes."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from serin.clients.kubernetes import (
    AbsentError,
    Cluster,
    ConflictError,
    ExistsError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    UnavailableError,
    open_cluster,
)
from serin.clients.kubernetes.kinds import JOB_SETS, JOBS, LEASES, LOCAL_QUEUES, PODS

from ....cluster.http import job
from ....cluster.standin import StandIn

LABEL = "app.kubernetes.io/managed-by"


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn(auto=False, without=["jobset.x-k8s.io"]) as standin:
        yield standin


@pytest.fixture
def cluster(api: StandIn) -> Cluster:
    return opened(api)


def opened(api: StandIn, **options: Any) -> Cluster:
    return open_cluster(None, None, {**os.environ, "KUBECONFIG": str(api.kubeconfig)}, **options)


def labelled(name: str, value: str = "serin") -> dict[str, Any]:
    body = job(name)
    body["metadata"]["labels"] = {LABEL: value}
    return body


def lease(name: str = "l", holder: str = "a") -> dict[str, Any]:
    spec = {"holderIdentity": holder}
    return {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": {"name": name}, "spec": spec}


def test_an_object_is_made_read_changed_and_removed(cluster: Cluster) -> None:
    made = cluster.create(LEASES, lease())
    assert made["metadata"]["uid"]
    changed = cluster.patch(LEASES, "l", {"spec": {"holderIdentity": "b", "renewTime": None}})
    assert changed["spec"] == {"holderIdentity": "b"}
    assert cluster.get(LEASES, "l") == changed
    assert cluster.delete(LEASES, "l")
    assert cluster.get(LEASES, "l") is None
    assert not cluster.delete(LEASES, "l")


def test_a_dry_run_makes_nothing(cluster: Cluster) -> None:
    assert cluster.create(JOBS, job("dry"), dry_run=True)["metadata"]["name"] == "dry"
    assert cluster.get(JOBS, "dry") is None


def test_a_list_goes_through_every_page_and_keeps_to_its_labels(cluster: Cluster, api: StandIn) -> None:
    for number in range(230):
        api.create(labelled(f"run-{number:03}", "serin" if number % 2 else "other"))
    found, version = cluster.list(JOBS, {LABEL: "serin"})
    assert [each["metadata"]["name"] for each in found] == [f"run-{number:03}" for number in range(1, 230, 2)]
    assert {(each["apiVersion"], each["kind"]) for each in found} == {("batch/v1", "Job")}
    assert int(version) >= int(found[-1]["metadata"]["resourceVersion"])
    assert [call.verb for call in api.calls].count("list") == 2


def test_a_list_whose_rest_has_expired_begins_again(cluster: Cluster, api: StandIn) -> None:
    for number in range(150):
        api.create(labelled(f"run-{number:03}"))
    api.faults.add("answer", verb="list", resource="jobs", skip=1, code=410)
    assert len(cluster.list(JOBS)[0]) == 150


def test_a_watch_tells_what_happens_after_a_list(cluster: Cluster, api: StandIn) -> None:
    api.create(labelled("before"))
    _, version = cluster.list(JOBS, {LABEL: "serin"})
    api.create(labelled("ours"))
    api.create(labelled("theirs", "other"))
    cluster.patch(JOBS, "ours", {"metadata": {"annotations": {"word": "ü" * 70_000}}})
    cluster.delete(JOBS, "before")
    events = cluster.watch(JOBS, version, {LABEL: "serin"}, timeout_s=1)
    seen = [(sort, found["metadata"].get("name")) for sort, found in events if sort != "BOOKMARK"]
    assert seen == [("ADDED", "ours"), ("MODIFIED", "ours"), ("DELETED", "before")]


def test_a_watch_from_a_forgotten_version_has_expired(cluster: Cluster, api: StandIn) -> None:
    api.create(labelled("one"))
    api.faults.add("forget", verb="watch")
    with pytest.raises(ExpiredError):
        list(cluster.watch(JOBS, "1", timeout_s=1))


def test_a_second_object_of_a_name_is_told_from_a_stale_write(cluster: Cluster) -> None:
    first = cluster.create(LEASES, lease())
    with pytest.raises(ExistsError, match="l"):
        cluster.create(LEASES, lease())
    cluster.replace(LEASES, "l", {**first, "spec": {"holderIdentity": "b"}})
    with pytest.raises(ConflictError) as stale:
        cluster.replace(LEASES, "l", {**first, "spec": {"holderIdentity": "c"}})
    assert not isinstance(stale.value, ExistsError)
    assert cluster.get(LEASES, "l")["spec"]["holderIdentity"] == "b"  # type: ignore[index]


def test_an_object_of_another_uid_is_not_deleted(cluster: Cluster) -> None:
    uid = cluster.create(LEASES, lease())["metadata"]["uid"]
    with pytest.raises(ConflictError):
        cluster.delete(LEASES, "l", uid="another")
    assert cluster.delete(LEASES, "l", uid=uid)


def test_status_is_applied_whole_and_for_one_uid(cluster: Cluster) -> None:
    made = cluster.create(JOBS, job("j"))
    uid = made["metadata"]["uid"]
    cluster.apply_status(JOBS, "j", {"metadata": {"uid": uid}, "status": {"active": 1, "failed": 2}}, "tester")
    after = cluster.apply_status(JOBS, "j", {"metadata": {"uid": uid}, "status": {"active": 3}}, "tester")
    assert after["status"] == {"active": 3}
    with pytest.raises((ConflictError, InvalidError)):
        cluster.apply_status(JOBS, "j", {"metadata": {"uid": "another"}, "status": {"active": 4}}, "tester")


def test_an_api_that_the_cluster_lacks_is_no_missing_object(cluster: Cluster) -> None:
    assert cluster.get(LOCAL_QUEUES, "gpu") is None
    with pytest.raises(AbsentError, match="CRD"):
        cluster.get(JOB_SETS, "gpu")


@pytest.mark.parametrize(("code", "error"), [(401, ForbiddenError), (403, ForbiddenError), (422, InvalidError)])
def test_what_another_try_does_not_change_is_final(
    cluster: Cluster, api: StandIn, code: int, error: type[Exception]
) -> None:
    api.faults.add("answer", code=code)
    with pytest.raises(error, match=f"get jobs j: the API server answered {code}"):
        cluster.get(JOBS, "j")


def test_a_busy_server_says_when_to_come_back(cluster: Cluster, api: StandIn) -> None:
    api.faults.add("answer", code=429, headers={"Retry-After": "7"})
    with pytest.raises(UnavailableError) as busy:
        cluster.get(JOBS, "j")
    assert busy.value.retry_after_s == 7
    assert busy.value.exit_code == 75
    api.faults.add("answer", code=500)
    with pytest.raises(UnavailableError) as broken:
        cluster.get(JOBS, "j")
    assert broken.value.retry_after_s is None


def test_a_reset_connection_is_one_failed_try(cluster: Cluster, api: StandIn) -> None:
    api.faults.add("reset_before", verb="get", resource="jobs", times=1)
    with pytest.raises(UnavailableError, match="no answer"):
        cluster.get(JOBS, "j")
    assert [call.verb for call in api.calls] == ["get"]
    assert cluster.get(JOBS, "j") is None


def test_a_server_that_never_answers_is_left_in_time(api: StandIn) -> None:
    cluster = opened(api, timeout_s=0.3)
    api.faults.add("stall", verb="get")
    with pytest.raises(UnavailableError):
        cluster.get(JOBS, "j")


def test_every_answer_is_counted_by_what_was_asked(api: StandIn) -> None:
    heard: list[tuple[str, str, int]] = []
    cluster = opened(api, heard=lambda verb, plural, code, _: heard.append((verb, plural, code)))
    cluster.create(JOBS, job("j"))
    cluster.get(JOBS, "k")
    api.faults.add("reset_before", verb="get")
    with pytest.raises(UnavailableError):
        cluster.get(JOBS, "j")
    assert heard == [("create", "jobs", 201), ("get", "jobs", 404), ("get", "jobs", 0)]


def test_the_log_of_a_pod_that_is_not_there(cluster: Cluster) -> None:
    with pytest.raises(AbsentError):
        list(cluster.pod_log("nobody", "run"))
    assert cluster.get(PODS, "nobody") is None
