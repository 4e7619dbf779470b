"""A Node that no machine stands behind, and its kubelet's requests."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from serin.clients.kubernetes import AbsentError, ConflictError
from serin.clients.kubernetes.kinds import PODS

from ..clock import stamp
from .admin import Admin, Object

_MARK = "serin.dev/test-node"
MARKS = {"app.kubernetes.io/part-of": "serin-tests"}
"""Labels of what lies in no namespace, by which somebody finds what a run that was killed has left."""
_NODES = "/api/v1/nodes"
_HEARTBEAT_S = 10.0
"""As kubelets have it: after 40 s of silence a Node is taken for lost, and its pods are evicted."""
_ROOM = {"cpu": "1k", "memory": "64Ti", "ephemeral-storage": "256Ti", "pods": "1k"}
"""No GPU, so that a scheduler, where there is one, finds no room for training by itself."""


class FakeNode:
    """Is there for as long as a block, and says that it is well."""

    def __init__(self, admin: Admin, name: str) -> None:
        self.name = name
        self.placement: Mapping[str, Any] = {
            "nodeSelector": {_MARK: name},
            "tolerations": [{"key": _MARK, "operator": "Exists", "effect": "NoSchedule"}],
        }
        """Of runs: no other node may take them, and nothing else this node."""
        self._admin = admin
        self._closing = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        taint = {"key": _MARK, "value": self.name, "effect": "NoSchedule"}
        metadata = {"name": self.name, "labels": {_MARK: self.name, **MARKS}}
        self._admin.create(
            _NODES, {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": [taint]}}
        )
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._heart.join()
        self._admin.delete(f"{_NODES}/{self.name}")

    def _beat(self) -> None:
        while True:
            now = stamp(datetime.now(UTC))
            ready = {
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "the tests say so",
                "lastHeartbeatTime": now,
            }
            status = {"capacity": _ROOM, "allocatable": _ROOM, "conditions": [ready]}
            self._admin.report(f"{_NODES}/{self.name}/status", {"status": status})
            if self._closing.wait(_HEARTBEAT_S):
                return


class RequestingNode:
    """``kubelet.Node`` for the pods of one namespace, by requests."""

    def __init__(self, admin: Admin, namespace: str, name: str) -> None:
        self._admin = admin
        self._pods = PODS.path(namespace)
        self._name = name

    def pods(self) -> Sequence[Object]:
        """All that are there."""
        return (self._admin.get(self._pods) or {}).get("items") or []

    def find(self, pod: Object) -> Object | None:
        """A pod as it is now."""
        found = self._admin.get(self._path(pod))
        return found if found is not None and found["metadata"]["uid"] == pod["metadata"]["uid"] else None

    def bind(self, pod: Object) -> None:
        """As a scheduler does. One that was quicker has chosen this node too, since no other one fits."""
        metadata = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        target = {"apiVersion": "v1", "kind": "Node", "name": self._name}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        try:
            self._admin.create(f"{self._path(pod)}/binding", body)
        except (AbsentError, ConflictError):
            return  # it is bound, or on its way out: the next look shows which

    def report(self, pod: Object, status: Mapping[str, Any]) -> None:
        """Patch ``pods/status``."""
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": dict(status)}
        self._admin.report(f"{self._path(pod)}/status", body)

    def delete(self, pod: Object) -> None:
        """With its grace period."""
        self._admin.delete(self._path(pod), pod["metadata"]["uid"])

    def confirm(self, pod: Object) -> None:
        """Delete it without a grace period, as a kubelet does at the end."""
        self._admin.delete(self._path(pod), pod["metadata"]["uid"], grace_s=0)

    def _path(self, pod: Object) -> str:
        return f"{self._pods}/{pod['metadata']['name']}"
