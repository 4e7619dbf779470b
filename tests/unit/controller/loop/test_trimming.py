"""What the caches leave out, and that nothing is concluded from it."""

import json
from typing import Any

import pytest

from serin.clients.kubernetes import Object
from serin.controller.loop import trimming
from serin.controller.observed import Observed
from serin.controller.plan import Plan, plan

from ..manifests import START, condition, finetune, job, pod, running, workload

OF = finetune(queue="gpus", train={"memory": "12Gi"})
CONDITIONS = {
    "unschedulable": condition(
        "PodScheduled", "Unschedulable", "0/3 nodes are available: 3 Insufficient memory.", status="False"
    ),
}


def planned(job_: Object, pod_: Object, workload_: Object) -> Plan:
    seen = Observed(jobs={"train": job_}, pods={"train": [pod_]}, workloads={"train": workload_}, faults=())
    return plan(OF, seen, START)


@pytest.mark.parametrize("suspend", [None, True])
@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize(
    "pod_",
    [running(), pod(phase="Pending", conditions=[CONDITIONS["unschedulable"]]), pod("p", "Failed", reason="Evicted")],
    ids=["running", "unschedulable", "evicted"],
)
def test_a_plan_is_the_same_with_and_without_it(suspend: bool | None, active: bool, pod_: dict[str, Any]) -> None:
    pod_["spec"]["containers"][0]["env"] = [{"name": "SERIN_TASK", "value": "{}" * 1000}]
    of, waits = job(OF, suspend=suspend), workload([condition("Admitted", "Admitted")], active=active)
    waits["spec"]["podSets"] = [of["spec"]["template"]]
    whole = planned(of, pod_, waits)
    assert planned(trimming.job(of), trimming.pod(pod_), trimming.workload(waits)) == whole
    assert len(json.dumps(trimming.job(of))) < 0.4 * len(json.dumps(of))
    assert len(json.dumps(trimming.pod(pod_))) < 0.5 * len(json.dumps(pod_))
    assert len(json.dumps(trimming.workload(waits))) < 0.5 * len(json.dumps(waits))


def test_copies_of_an_object_in_its_own_metadata_are_left_out() -> None:
    whole = finetune()
    kept = {"annotations": {"mine": "1"}, **whole["metadata"]}
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(whole), "mine": "1"}
    told = {**whole, "metadata": {**kept, "annotations": applied, "managedFields": [{"manager": "kubectl"}]}}
    assert trimming.without_copies(told) == {**whole, "metadata": kept}
    assert "managedFields" in told["metadata"]
