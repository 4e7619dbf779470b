"""The stand-in's API where it has to be as subtle as the real one."""

import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from .http import JSON, MERGE, ask, job
from .standin import StandIn

MAPS = "/api/v1/namespaces/serin/configmaps"
JOBS = "/apis/batch/v1/namespaces/serin/jobs"


def config_map(name: str, **labels: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}


# ---- watches -------------------------------------------------------------------------------------------------------------
def test_a_watch_tells_what_came_after_its_version_and_nothing_before(still: StandIn) -> None:
    still.create(config_map("a"))
    _, listed = ask(still, "GET", MAPS)
    still.create(config_map("b"))
    ask(still, "PATCH", f"{MAPS}/a", {"data": {"k": "v"}}, MERGE)
    ask(still, "DELETE", f"{MAPS}/b")
    since = listed["metadata"]["resourceVersion"]
    _, events = ask(still, "GET", f"{MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=1")
    told = [(event["type"], event["object"]["metadata"]["name"]) for event in events]
    assert told == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


def test_a_watch_from_a_forgotten_version_is_told_410(still: StandIn) -> None:
    still.create(config_map("a"))
    _, listed = ask(still, "GET", MAPS)
    ask(still, "PATCH", f"{MAPS}/a", {"data": {"k": "v"}}, MERGE)
    still.store.forget()
    _, (event,) = ask(
        still, "GET", f"{MAPS}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}&timeoutSeconds=1"
    )
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_what_leaves_a_selection_is_deleted_for_its_watch(still: StandIn) -> None:
    still.create(config_map("a", team="law"))
    since = still.store.version
    ask(still, "PATCH", f"{MAPS}/a", {"metadata": {"labels": {"team": "tax"}}}, MERGE)
    ask(still, "PATCH", f"{MAPS}/a", {"metadata": {"labels": {"team": "law"}}}, MERGE)
    _, events = ask(still, "GET", f"{MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=1&labelSelector=team%3Dlaw")
    assert [event["type"] for event in events] == ["DELETED", "ADDED"]


def test_a_watch_ends_with_a_bookmark_at_its_time(still: StandIn) -> None:
    start = time.monotonic()
    _, events = ask(still, "GET", f"{MAPS}?watch=1&resourceVersion=1&timeoutSeconds=1&allowWatchBookmarks=true")
    assert [event["type"] for event in events] == ["BOOKMARK"]
    assert events[0]["object"]["metadata"]["resourceVersion"] >= "1"
    assert 0.9 < time.monotonic() - start < 5


# ---- lists ---------------------------------------------------------------------------------------------------------------
def test_a_list_in_pages_is_whole_and_a_forgotten_page_is_410(still: StandIn) -> None:
    for name in "abcde":
        still.create(config_map(name))
    found, after, versions = [], "", set()
    while True:
        _, page = ask(still, "GET", f"{MAPS}?limit=2&continue={after}")
        found += [item["metadata"]["name"] for item in page["items"]]
        versions.add(page["metadata"]["resourceVersion"])
        if not (after := page["metadata"].get("continue", "")):
            break
        last = after
    assert (found, len(versions)) == (list("abcde"), 1)
    still.create(config_map("f"))
    still.store.forget()
    code, refusal = ask(still, "GET", f"{MAPS}?limit=2&continue={last}")
    assert (code, refusal["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("team=law", "a"),
        ("team!=law", "bc"),
        ("team in (law, tax)", "ab"),
        ("team notin (law),team", "b"),
        ("!team", "c"),
        ("team", "ab"),
    ],
)
def test_label_selectors(still: StandIn, selector: str, names: str) -> None:
    still.create(config_map("a", team="law"))
    still.create(config_map("b", team="tax"))
    still.create(config_map("c"))
    _, found = ask(still, "GET", f"{MAPS}?labelSelector={urllib.request.quote(selector)}")
    assert "".join(item["metadata"]["name"] for item in found["items"]) == names


def test_items_of_built_in_lists_say_no_kind(still: StandIn) -> None:
    still.create(config_map("a"))
    _, found = ask(still, "GET", MAPS)
    assert found["kind"] == "ConfigMapList"
    assert "kind" not in found["items"][0]


# ---- writes --------------------------------------------------------------------------------------------------------------
def test_a_write_on_an_old_version_is_409(still: StandIn) -> None:
    _, made = ask(still, "POST", MAPS, config_map("a"))
    made["data"] = {"k": "1"}
    assert ask(still, "PUT", f"{MAPS}/a", made)[0] == 200
    code, refusal = ask(still, "PUT", f"{MAPS}/a", made)
    assert (code, refusal["reason"]) == (409, "Conflict")
    code, refusal = ask(still, "POST", MAPS, config_map("a"))
    assert (code, refusal["reason"]) == (409, "AlreadyExists")


def test_a_dry_run_answers_and_stores_nothing(still: StandIn) -> None:
    code, answered = ask(still, "POST", f"{MAPS}?dryRun=All", config_map("a"))
    assert code == 201
    assert answered["metadata"]["uid"]
    assert ask(still, "GET", f"{MAPS}/a")[0] == 404


def test_a_json_patch_with_a_failed_test_changes_nothing(still: StandIn) -> None:
    still.create(config_map("a", team="law"))
    change = [
        {"op": "test", "path": "/metadata/labels/team", "value": "tax"},
        {"op": "add", "path": "/data", "value": {}},
    ]
    assert ask(still, "PATCH", f"{MAPS}/a", change, JSON)[0] == 422
    change[0]["value"] = "law"
    assert ask(still, "PATCH", f"{MAPS}/a", change, JSON)[1]["data"] == {}


def test_only_the_object_that_is_meant_is_deleted(still: StandIn) -> None:
    made = still.create(config_map("a"))
    assert ask(still, "DELETE", f"{MAPS}/a", {"preconditions": {"uid": "another"}})[0] == 409
    assert ask(still, "DELETE", f"{MAPS}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})[0] == 200


def test_what_an_owner_leaves_behind_is_collected(still: StandIn) -> None:
    owner = still.create(config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [reference]  # type: ignore[index]
    still.create(child)
    still.settle()
    assert still.get("configmaps", "child")
    ask(still, "DELETE", f"{MAPS}/owner")
    still.settle()
    assert still.get("configmaps", "child") is None


def test_deleting_a_job_without_a_word_on_its_pods_orphans_them(still: StandIn) -> None:
    for name, options in (("kept", None), ("gone", {"propagationPolicy": "Background"})):
        still.create(job(name))
        still.settle()
        ask(still, "DELETE", f"{JOBS}/{name}", options)
        still.settle()
    assert [pod["metadata"]["labels"]["job-name"] for pod in still.list("pods")] == ["kept"]


IGNORE = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def fails(**codes: object) -> dict[str, object]:
    return {"action": "FailJob", "onExitCodes": {"operator": "In", **codes}}


# ---- what is refused -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spec": {"backoffLimits": 3}}, "backoffLimits"),
        ({"spec": {"backoffLimit": "3"}}, "backoffLimit"),
        ({"metadata": {"name": "x" * 64}}, "must be no more than 63"),
        ({"metadata": {"labels": {"a": "b" * 64}}}, "metadata.labels"),
        ({"spec": {"template": {"spec": {"restartPolicy": "Always"}}}}, "restartPolicy"),
        (
            {"spec": {"podReplacementPolicy": "TerminatingOrFailed", "podFailurePolicy": {"rules": [IGNORE]}}},
            "podReplacementPolicy",
        ),
        ({"spec": {"podFailurePolicy": {"rules": [fails(values=[3, 2])]}}}, "must be ordered"),
        ({"spec": {"podFailurePolicy": {"rules": [fails(values=[2], containerName="train")]}}}, "containerName"),
    ],
)
def test_a_job_that_kubernetes_would_refuse_is_refused(still: StandIn, change: dict[str, object], words: str) -> None:
    from .standin.patches import merged

    code, refusal = ask(still, "POST", JOBS, merged(job("a"), change))
    assert code == 422
    assert words in refusal["message"]
    assert ask(still, "POST", JOBS, job("a"))[0] == 201


def test_of_a_job_only_suspension_and_parallelism_change(still: StandIn) -> None:
    still.create(job("a"))
    assert ask(still, "PATCH", f"{JOBS}/a", {"spec": {"suspend": True, "parallelism": 2}}, MERGE)[0] == 200
    assert ask(still, "PATCH", f"{JOBS}/a", {"spec": {"completions": 2}}, MERGE)[0] == 422
    code, refusal = ask(still, "PATCH", f"{JOBS}/a", {"spec": {"template": {"spec": {"dnsPolicy": "Default"}}}}, MERGE)
    assert (code, "field is immutable" in refusal["message"]) == (422, True)


def test_a_pod_that_is_not_restricted_is_not_made(still: StandIn) -> None:
    body = job("a")
    body["spec"]["template"] = {"spec": {"restartPolicy": "Never", "containers": [{"name": "run", "image": "x"}]}}
    still.create(body)
    still.settle()
    assert not still.list("pods")
    assert "runAsNonRoot" in still.jobs.violations[0]
    assert [event["reason"] for event in still.list("events")] == ["FailedCreate"]


# ---- who may ask ---------------------------------------------------------------------------------------------------------
def test_a_role_allows_what_it_says_and_no_more(still: StandIn) -> None:
    rules = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "create"]}]
    still.kubeconfig_of("controller", rules)
    assert ask(still, "POST", JOBS, job("a"), token="controller")[0] == 201
    code, refusal = ask(still, "DELETE", f"{JOBS}/a", token="controller")
    assert (code, refusal["reason"]) == (403, "Forbidden")
    assert 'cannot delete resource "jobs" in API group "batch" in the namespace "serin"' in refusal["message"]
    assert ask(still, "GET", "/api/v1/namespaces/serin/secrets", token="controller")[0] == 404
    assert ask(still, "GET", JOBS, token="nobody")[0] == 401


def test_the_kubeconfig_names_the_namespace(still: StandIn) -> None:
    config = yaml.safe_load(Path(still.kubeconfig).read_text())
    assert config["contexts"][0]["context"]["namespace"] == "serin"


# ---- faults --------------------------------------------------------------------------------------------------------------
def test_a_fault_befalls_the_calls_that_it_is_for(still: StandIn) -> None:
    still.faults.add("answer", verb="create", resource="configmaps", skip=1, code=429, headers={"Retry-After": "7"})
    assert ask(still, "POST", MAPS, config_map("a"))[0] == 201
    code, refusal = ask(still, "POST", MAPS, config_map("b"))
    assert (code, refusal["details"]["retryAfterSeconds"]) == (429, 7)
    assert ask(still, "POST", MAPS, config_map("b"))[0] == 201
    assert [call.code for call in still.calls] == [201, 429, 201]


@pytest.mark.parametrize(("sort", "acted"), [("reset_before", False), ("reset_after", True)])
def test_a_reset_comes_before_or_after_the_server_acted(still: StandIn, sort: str, acted: bool) -> None:
    still.faults.add(sort, verb="create")  # type: ignore[arg-type]
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        ask(still, "POST", MAPS, config_map("a"))
    assert (still.get("configmaps", "a") is not None) == acted


def test_a_stalled_request_is_never_answered_and_ends_with_the_server() -> None:
    with StandIn(auto=False) as standin:
        standin.faults.add("stall", verb="get")
        ended = threading.Event()

        def wait() -> None:
            with pytest.raises((urllib.error.URLError, ConnectionError, socket.timeout)):
                ask(standin, "GET", f"{MAPS}/a")
            ended.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not ended.wait(0.5)
    waiting.join(5)
    assert ended.is_set()


def test_a_watch_can_end_at_once(still: StandIn) -> None:
    still.faults.add("end_watch")
    start = time.monotonic()
    assert ask(still, "GET", f"{MAPS}?watch=1&resourceVersion=1&timeoutSeconds=20")[1] == []
    assert time.monotonic() - start < 5
