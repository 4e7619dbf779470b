"""What a cluster has: found by what happens to objects, since an API that is served may have nobody behind it."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serin.clients.kubernetes import AbsentError
from serin.clients.kubernetes.kinds import JOB_SETS, JOBS, WORKLOADS, Kind

from ..backend import Need
from .admin import Admin, Object, wait
from .node import MARKS

_WITHIN_S = 20.0
_QUEUE = "kueue.x-k8s.io/queue-name"
_POD: Object = {"spec": {"restartPolicy": "Never", "containers": [{"name": "run", "image": "registry.example/none:1"}]}}


def probe(admin: Admin, name: str) -> frozenset[Need]:
    """Which controllers answer, asked in a namespace of that name, which is removed again."""
    space = f"/api/v1/namespaces/{name}"
    admin.create(
        "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": MARKS}}
    )
    try:
        # One after the other they would take a minute on a cluster that has none of them.
        with ThreadPoolExecutor(3) as pool:
            asked = {need: pool.submit(ask, admin, name) for need, ask in _QUESTIONS.items()}
            return frozenset(need for need, answer in asked.items() if answer.result())
    finally:
        admin.delete(space)


def _does_jobs(admin: Admin, namespace: str) -> bool:
    """A suspended Job is told that it is."""
    return _answers(admin, namespace, JOBS, {"suspend": True, "template": _POD}, {}, _is_suspended)


def _does_jobsets(admin: Admin, namespace: str) -> bool:
    """A suspended JobSet is told that it is."""
    replicated = {"name": "run", "replicas": 1, "template": {"spec": {"template": _POD}}}
    spec = {"suspend": True, "replicatedJobs": [replicated]}
    return _answers(admin, namespace, JOB_SETS, spec, {}, _is_suspended)


def _queues(admin: Admin, namespace: str) -> bool:
    """A Job with a queue, even one that is not there, gets a Workload."""
    spec = {"suspend": True, "template": _POD}
    return _answers(
        admin,
        namespace,
        JOBS,
        spec,
        {_QUEUE: "probe"},
        lambda _: (admin.get(WORKLOADS.path(namespace)) or {}).get("items"),
    )


_QUESTIONS: Mapping[Need, Callable[[Admin, str], bool]] = {
    "jobs": _does_jobs,
    "jobset": _does_jobsets,
    "kueue": _queues,
}


def _answers(
    admin: Admin,
    namespace: str,
    kind: Kind,
    spec: Mapping[str, Any],
    labels: Mapping[str, str],
    sees: Callable[[Object], object],
) -> bool:
    metadata = {"generateName": "probe-", "labels": labels}
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
    try:
        made = admin.create(kind.path(namespace), body)
    except AbsentError:
        return False
    path = kind.path(namespace, made["metadata"]["name"])
    return wait(lambda: sees(admin.get(path) or {}), _WITHIN_S)


def _is_suspended(found: Object) -> bool:
    conditions = found.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Suspended" and c["status"] == "True" for c in conditions)
