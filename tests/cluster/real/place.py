"""One namespace of a real cluster, for one scenario: installed as ``k8s/base`` installs Serin, and removed again."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from serin.clients.kubernetes import Cluster
from serin.clients.kubernetes.kinds import JOB_SETS, JOBS, PODS
from serin.core.task import Stage

from ..backend import Need
from ..kubelet import Pods, Storages
from .credentials import write_kubeconfig
from .installation import Installation, documents
from .making import Making
from .node import MARKS, RequestingNode
from .queues import RequestedQueues

_PATHS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}
_LOOK_S = 0.1


class _Now:
    """Nobody puts the clock of a real cluster forward."""

    def now(self) -> datetime:
        """In UTC."""
        return datetime.now(UTC)


class Place:
    """``Backend`` of a real cluster. ``user`` has the kubeconfig's rights; the controller those of its ServiceAccount."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.namespace = installation.name()
        self.user = Cluster(installation.admin.cluster.transport, self.namespace)
        self.placement = installation.node.placement
        self._installation = installation
        self._admin = installation.admin
        self._folder = folder
        self._undo = ExitStack()
        node = RequestingNode(self._admin, self.namespace, installation.node.name)
        self.pods = Pods(node, _Now(), Storages().of)
        self.queues = RequestedQueues(self._admin, self.namespace, self.pods, self.placement, self._undo)
        self._making: Making | None = None

    @property
    def made(self) -> Counter[tuple[str, Stage]]:
        """By a watch, so that the last one may be missing for a moment."""
        assert self._making is not None
        return self._making.made

    def has(self, need: Need) -> bool:
        """As the installation found."""
        return need in self._installation.has

    def pass_time(self, seconds: float) -> None:
        """Wait for it."""
        time.sleep(seconds)

    def kubeconfig_of(self, process: str) -> Path:
        """For a controller, with a token of its own."""
        path = self._folder / f"{process}.yaml"
        return write_kubeconfig(self._admin, self.namespace, "serin-controller", path)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._remove)
            self._install()
            watched = [JOBS, *([JOB_SETS] if self.has("jobset") else [])]
            self._making = undo.enter_context(Making(self.user, watched))
            undo.enter_context(_kubelet(self.pods))
            self._undo.push(undo.pop_all())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _install(self) -> None:
        (namespace,) = documents("namespace.yaml")
        namespace["metadata"]["name"] = self.namespace
        namespace["metadata"]["labels"] |= MARKS
        self._admin.create("/api/v1/namespaces", namespace)
        for each in documents("access.yaml"):
            for subject in each.get("subjects") or ():
                subject["namespace"] = self.namespace
            self._admin.create(_PATHS[each["kind"]].format(self.namespace), each)

    def _remove(self) -> None:
        """Nothing new can come then, and no kubelet is left to confirm the end of what is there."""
        self._admin.delete(f"/api/v1/namespaces/{self.namespace}")
        self._admin.delete(PODS.path(self.namespace), grace_s=0)


@contextmanager
def _kubelet(pods: Pods) -> Iterator[None]:
    """Looks at the pods for the length of a block."""
    closing = threading.Event()

    def work() -> None:
        while not closing.wait(_LOOK_S):
            pods.step()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        closing.set()
        thread.join()
