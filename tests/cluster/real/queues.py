"""Kueue as its administrator sets it up: a queue with room for one run, and somebody more important who wants it."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from serin.clients.kubernetes.kinds import JOBS, LOCAL_QUEUES

from ..kubelet import Pods, Work
from .admin import Admin, Object
from .node import MARKS

_KUEUE = "/apis/kueue.x-k8s.io/v1beta1"
_QUEUE = "kueue.x-k8s.io/queue-name"
_RIVAL = "serin.dev/rival"
_ROOM = {"cpu": "64", "memory": "1Ti", "ephemeral-storage": "1Ti", "nvidia.com/gpu": "1"}


class RequestedQueues:
    """``Queues`` of one namespace. What lies outside of it, ``undo`` removes."""

    def __init__(self, admin: Admin, namespace: str, pods: Pods, placement: Mapping[str, Any], undo: ExitStack) -> None:
        self._admin = admin
        self._namespace = namespace
        self._pods = pods
        self._placement = placement
        self._undo = undo
        self._queue = ""

    def make(self, name: str) -> None:
        """A LocalQueue, and the ClusterQueue, flavor and priority behind it."""
        own, self._queue = self._namespace, name
        metadata = {"name": own, "labels": MARKS}
        self._add("resourceflavors", {"kind": "ResourceFlavor", "metadata": metadata, "spec": {}})
        self._add("workloadpriorityclasses", {"kind": "WorkloadPriorityClass", "metadata": metadata, "value": 1000})
        quotas = [{"name": resource, "nominalQuota": amount} for resource, amount in _ROOM.items()]
        spec = {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}},
            "preemption": {"withinClusterQueue": "LowerPriority"},
            "resourceGroups": [{"coveredResources": list(_ROOM), "flavors": [{"name": own, "resources": quotas}]}],
        }
        self._add("clusterqueues", {"kind": "ClusterQueue", "metadata": metadata, "spec": spec})
        local: Object = {"apiVersion": LOCAL_QUEUES.api_version, "kind": LOCAL_QUEUES.kind}
        local |= {"metadata": {"name": name}, "spec": {"clusterQueue": own}}
        self._admin.create(LOCAL_QUEUES.path(self._namespace), local)

    def take_back(self, job: str) -> None:
        """There is room for one, so whoever is there has to go; ``job`` is it."""
        del job
        self._pods.script(Work(), rival="queue")
        labels = {_RIVAL: "queue", _QUEUE: self._queue, "kueue.x-k8s.io/priority-class": self._namespace}
        self._admin.create(
            JOBS.path(self._namespace),
            {
                "apiVersion": JOBS.api_version,
                "kind": JOBS.kind,
                "metadata": {"name": "rival", "labels": labels},
                "spec": {
                    "suspend": True,
                    "template": {"metadata": {"labels": {_RIVAL: "queue"}}, "spec": {**_pod(), **self._placement}},
                },
            },
        )

    def give_again(self) -> None:
        """The rival is gone."""
        self._admin.delete(JOBS.path(self._namespace, "rival"))

    def _add(self, plural: str, body: Object) -> None:
        """One that lies in no namespace."""
        self._admin.create(f"{_KUEUE}/{plural}", {"apiVersion": "kueue.x-k8s.io/v1beta1", **body})
        self._undo.callback(self._admin.delete, f"{_KUEUE}/{plural}/{body['metadata']['name']}")


def _pod() -> Object:
    """One that Pod Security's ``restricted`` allows, and that wants the GPU."""
    container = {
        "name": "run",
        "image": "registry.example/rival:1",
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"nvidia.com/gpu": "1"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"restartPolicy": "Never", "securityContext": security, "containers": [container]}
