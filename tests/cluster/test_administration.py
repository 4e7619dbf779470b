"""What an administrator asks of the stand-in, as of any API server: definitions, namespaces, tokens, nodes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from .http import MERGE, STRATEGIC, ask, job
from .standin import StandIn, Work

JOBS = "/apis/batch/v1/namespaces/serin/jobs"
PODS = "/api/v1/namespaces/serin/pods"
SPACES = "/api/v1/namespaces"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FINE_TUNES = "/apis/serin.dev/v1alpha1/namespaces/serin/finetunes"
DEFINITION = yaml.safe_load((Path(__file__).parents[2] / "k8s/base/crds/finetunes.yaml").read_text())


def pod(still: StandIn) -> Any:
    """The one pod that there is, made by a Job."""
    still.create(job("a"))
    for _ in range(3):
        still.step()
    (found,) = still.list("pods")
    return found


@pytest.fixture
def bare() -> Any:
    """A cluster without Serin and without nodes."""
    with StandIn(auto=False, crds=[], nodes=False) as standin:
        yield standin


# ---- definitions ---------------------------------------------------------------------------------------------------------
def test_a_kind_is_served_from_its_definition_on_and_no_longer(bare: StandIn) -> None:
    assert ask(bare, "GET", FINE_TUNES)[0] == 404
    assert ask(bare, "POST", DEFINITIONS, DEFINITION)[0] == 201
    bare.step()
    _, found = ask(bare, "GET", f"{DEFINITIONS}/finetunes.serin.dev")
    assert {c["type"]: c["status"] for c in found["status"]["conditions"]}["Established"] == "True"
    assert ask(bare, "GET", FINE_TUNES)[0] == 200
    refused = ask(bare, "POST", FINE_TUNES, {"metadata": {"name": "a"}, "spec": {"run": {}}})
    assert refused[0] == 422
    ask(bare, "DELETE", f"{DEFINITIONS}/finetunes.serin.dev")
    bare.step()
    assert ask(bare, "GET", FINE_TUNES)[0] == 404


# ---- namespaces ----------------------------------------------------------------------------------------------------------
def test_a_namespace_takes_nothing_new_and_goes_when_it_is_empty(bare: StandIn) -> None:
    bare.create(job("a"))
    for _ in range(3):
        bare.step()
    (made,) = bare.list("pods")
    ask(bare, "POST", f"{PODS}/{made['metadata']['name']}/binding", {"target": {"name": "node-1"}})
    ask(bare, "DELETE", f"{SPACES}/serin")
    code, refusal = ask(bare, "POST", JOBS, job("b"))
    assert (code, refusal["reason"]) == (403, "Forbidden")
    assert "is being terminated" in refusal["message"]
    bare.settle()
    _, found = ask(bare, "GET", f"{SPACES}/serin")
    assert found["status"]["phase"] == "Terminating"
    assert [each["metadata"]["name"] for each in bare.list("pods")] == [made["metadata"]["name"]]
    ask(bare, "DELETE", PODS, {"gracePeriodSeconds": 0})
    bare.settle()
    assert ask(bare, "GET", f"{SPACES}/serin")[0] == 404
    assert not bare.list("pods")


# ---- tokens --------------------------------------------------------------------------------------------------------------
def test_a_token_allows_what_the_roles_of_its_account_say_where_they_are_bound(bare: StandIn) -> None:
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/serin"
    accounts = f"{SPACES}/serin/serviceaccounts"
    ask(bare, "POST", accounts, {"metadata": {"name": "reader"}})
    code, answer = ask(bare, "POST", f"{accounts}/reader/token", {"spec": {"expirationSeconds": 600}})
    assert code == 201
    token = answer["status"]["token"]
    assert ask(bare, "GET", JOBS, token=token)[0] == 403
    rules = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]}]
    ask(bare, "POST", f"{rbac}/roles", {"metadata": {"name": "reads"}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"}
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "serin"}
    binding = {"metadata": {"name": "reads"}, "roleRef": reference, "subjects": [subject]}
    assert ask(bare, "POST", f"{rbac}/rolebindings", binding)[0] == 201
    assert ask(bare, "GET", JOBS, token=token)[0] == 200
    assert ask(bare, "GET", JOBS.replace("serin", "default"), token=token)[0] == 403
    code, refusal = ask(bare, "POST", JOBS, job("a"), token=token)
    assert (code, refusal["message"].partition(" cannot")[0]) == (
        403,
        'jobs is forbidden: User "system:serviceaccount:serin:reader"',
    )
    ask(bare, "DELETE", f"{accounts}/reader")
    ask(bare, "POST", accounts, {"metadata": {"name": "reader"}})
    assert ask(bare, "GET", JOBS, token=token)[0] == 401
    assert ask(bare, "POST", f"{accounts}/reader/token", {"spec": {"expirationSeconds": 60}})[0] == 422
    assert ask(bare, "POST", f"{accounts}/nobody/token", {})[0] == 404


# ---- pods and nodes ------------------------------------------------------------------------------------------------------
def test_a_pod_is_bound_once(bare: StandIn) -> None:
    name = pod(bare)["metadata"]["name"]
    assert ask(bare, "POST", f"{PODS}/{name}/binding", {"target": {"kind": "Node", "name": "node-7"}})[0] == 201
    _, found = ask(bare, "GET", f"{PODS}/{name}")
    assert found["spec"]["nodeName"] == "node-7"
    assert [c["type"] for c in found["status"]["conditions"] if c["status"] == "True"] == ["PodScheduled"]
    code, refusal = ask(bare, "POST", f"{PODS}/{name}/binding", {"target": {"name": "node-8"}})
    assert (code, refusal["reason"]) == (409, "Conflict")


def test_a_status_is_merged_by_the_types_of_its_conditions(bare: StandIn) -> None:
    name = pod(bare)["metadata"]["name"]
    for sort, status in (("PodScheduled", "False"), ("Ready", "True"), ("PodScheduled", "True")):
        told = {"type": sort, "status": status, "reason": "Why" if status == "False" else None}
        assert ask(bare, "PATCH", f"{PODS}/{name}/status", {"status": {"conditions": [told]}}, STRATEGIC)[0] == 200
    _, found = ask(bare, "GET", f"{PODS}/{name}")
    assert found["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "True"},
    ]


def test_a_pod_stays_until_its_kubelet_has_confirmed_its_end_and_its_job_has_counted_it(bare: StandIn) -> None:
    name = pod(bare)["metadata"]["name"]
    ask(bare, "POST", f"{PODS}/{name}/binding", {"target": {"name": "node-1"}})
    ask(bare, "DELETE", f"{PODS}/{name}")
    bare.settle()
    _, found = ask(bare, "GET", f"{PODS}/{name}")
    assert found["metadata"]["deletionGracePeriodSeconds"] == 30
    ask(bare, "PATCH", f"{PODS}/{name}/status", {"status": {"phase": "Failed"}}, STRATEGIC)
    ask(bare, "DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0})
    assert ask(bare, "GET", f"{PODS}/{name}")[0] == 200
    for _ in range(2):
        bare.step()
    assert ask(bare, "GET", f"{PODS}/{name}")[0] == 404
    assert (bare.get("jobs", "a") or {})["status"]["failed"] == 1


# ---- quota ---------------------------------------------------------------------------------------------------------------
def test_a_queue_with_room_for_one_gives_it_to_the_more_important(still: StandIn) -> None:
    kueue = "/apis/kueue.x-k8s.io/v1beta1"
    quota = {"coveredResources": ["cpu"], "flavors": [{"name": "f", "resources": [{"name": "cpu", "nominalQuota": 2}]}]}
    spec = {"resourceGroups": [quota], "preemption": {"withinClusterQueue": "LowerPriority"}}
    ask(still, "POST", f"{kueue}/clusterqueues", {"metadata": {"name": "gpus"}, "spec": spec})
    ask(still, "POST", f"{kueue}/workloadpriorityclasses", {"metadata": {"name": "high"}, "value": 7})
    still.queue("gpus")
    still.pods.script(Work())
    for name, labels in (("a", {}), ("b", {}), ("c", {"kueue.x-k8s.io/priority-class": "high"})):
        body = job(name)
        body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1500m"}}
        body["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "gpus", **labels}
        still.create(body)
        still.settle()
        assert running(still) == {"a": ["a"], "b": ["a"], "c": ["c"]}[name]
    ask(still, "DELETE", f"{JOBS}/c", {"propagationPolicy": "Background"})
    still.settle()
    assert running(still) == ["a"]
    ask(still, "PATCH", f"{kueue}/clusterqueues/gpus", {"spec": {"preemption": {"withinClusterQueue": "Never"}}}, MERGE)
    body["metadata"]["name"] = "d"
    still.create(body)
    still.settle()
    assert running(still) == ["a"]


def running(still: StandIn) -> list[str]:
    """Jobs that were let run."""
    return [each["metadata"]["name"] for each in still.list("jobs") if not each["spec"]["suspend"]]
