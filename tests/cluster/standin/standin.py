"""``StandIn``: a cluster of one process, over HTTP, with everything that tests turn."""

import tempfile
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from serin.clients.storage import Storage
from serin.core.task import Task

from ..clock import Clock
from ..kubelet import Pods, Storages
from .access import Access
from .admission import admit
from .api import Api
from .definitions import Definitions
from .faults import Call, Faults
from .garbage import Garbage
from .jobs import JobController
from .jobsets import JobSetController
from .kueue import Kueue
from .namespaces import Namespaces
from .nodes import OwnNode
from .objects import Object
from .registry import Registry
from .resources import BUILT_IN, EXTENSIONS, LOCAL_QUEUES, NAMESPACES, Resource, custom
from .server import Server
from .store import Store, Stored

_MOST_STEPS = 500


class StandIn:
    """An API server with its controllers, and a kubelet whose pods do what ``pods`` is told.

    With ``auto`` the cluster works by itself in a thread; without it a test lets it work, by ``settle`` or ``step``.

    Args:
        namespace: the one that the kubeconfig names.
        without: API groups that this cluster does not have, such as ``kueue.x-k8s.io``.
        auto: work by itself.
        served: over HTTP; without it only a test in this process reaches the API.
        crds: CustomResourceDefinitions; None: those that the controller's package makes.
        storage_of: where a task's storage is; by default what its params say.
        nodes: have a kubelet and a scheduler; without them somebody else does their work.
    """

    def __init__(
        self,
        namespace: str = "serin",
        without: Collection[str] = (),
        auto: bool = True,
        served: bool = True,
        crds: Sequence[Mapping[str, Any]] | None = None,
        storage_of: Callable[[Task], Storage] | None = None,
        nodes: bool = True,
    ) -> None:
        self.namespace = namespace
        self.clock = Clock()
        self.store = Store()
        self.registry = Registry(self.store, self.clock, admit)
        self.access = Access(self.registry)
        self.faults = Faults()
        self.pods = Pods(OwnNode(self.registry), self.clock, storage_of or Storages().of)
        self.jobs = JobController(self.registry, self.clock)
        self.kueue = Kueue(self.registry, self.clock)
        self.resources = [
            *(r for r in (*BUILT_IN, *EXTENSIONS) if r.group not in without),
            *custom(_own_crds() if crds is None else crds),
        ]
        self._parts = [
            Definitions(self.registry, self.clock, self.resources),
            self.kueue,
            JobSetController(self.registry, self.clock),
            self.jobs,
            *([self.pods] if nodes else []),
            Namespaces(self.registry),
            Garbage(self.registry),
        ]
        self.api = Api(self.registry, self.resources, self.access, self.pods)
        for name in {namespace, "default"}:
            self.registry.create(NAMESPACES, "", {"metadata": {"name": name}})
        self._closing = threading.Event()
        self._server = Server(self.api, self.faults, self._closing) if served else None
        self._folder = tempfile.TemporaryDirectory(prefix="standin-")
        self.kubeconfig = self.kubeconfig_of("admin") if served else None
        self._working = threading.Lock()
        self._worker = threading.Thread(target=self._work, daemon=True) if auto else None
        if self._worker is not None:
            self._worker.start()

    # ---- how it is reached -----------------------------------------------------------------------------------------------
    @property
    def url(self) -> str:
        """Of the API server. Raises LookupError where it is not served."""
        if self._server is None:
            raise LookupError("this stand-in is not served over HTTP")
        return self._server.url

    def kubeconfig_of(self, token: str, rules: Sequence[Mapping[str, Any]] | None = None) -> Path:
        """A kubeconfig for a user who may do what the rules of a Role say; None: what ``access`` knows of them, or everything."""
        if rules is not None:
            self.access.rules[token] = rules
        self.access.rules.setdefault(token, None)
        path = Path(self._folder.name) / f"{token}.yaml"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "standin",
            "clusters": [{"name": "standin", "cluster": {"server": self.url}}],
            "users": [{"name": token, "user": {"token": token}}],
            "contexts": [
                {"name": "standin", "context": {"cluster": "standin", "user": token, "namespace": self.namespace}}
            ],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    @property
    def calls(self) -> Sequence[Call]:
        """Every request until now."""
        return tuple(self.faults.calls)

    @property
    def groups(self) -> Collection[str]:
        """The API groups that this cluster serves."""
        return {resource.group for resource in self.resources}

    # ---- objects ---------------------------------------------------------------------------------------------------------
    def resource(self, plural: str) -> Resource:
        """By its plural."""
        return next(r for r in self.resources if r.plural == plural)

    def create(self, body: Object) -> Object:
        """Create an object as a cluster's administrator does."""
        resource = next(r for r in self.resources if (r.api_version, r.kind) == (body["apiVersion"], body["kind"]))
        return self.registry.create(resource, self.namespace if resource.namespaced else "", body, "kubectl")

    def get(self, plural: str, name: str) -> Object | None:
        """An object, or None."""
        return self.registry.find(self.resource(plural), self.namespace, name)

    def list(self, plural: str, **labels: str) -> Sequence[Object]:
        """Objects by labels under ``serin.dev/``, such as ``stage="train"``."""
        wanted = {f"serin.dev/{name}": value for name, value in labels.items()}.items()
        found = [stored.object for stored in self.store.all(self.resource(plural), self.namespace)]
        return [each for each in found if wanted <= (each["metadata"].get("labels") or {}).items()]

    def history(self, plural: str) -> Sequence[Stored]:
        """Every version that there was of every object of a kind, the oldest first."""
        return [change.now for change in next(self.store.changes(self.resource(plural), 0, lambda: True))]

    def queue(self, name: str) -> Object:
        """Make a LocalQueue of Kueue."""
        return self.registry.create(
            LOCAL_QUEUES, self.namespace, {"metadata": {"name": name}, "spec": {"clusterQueue": "gpus"}}
        )

    # ---- how it works ----------------------------------------------------------------------------------------------------
    def step(self) -> bool:
        """Let every part of the cluster look once; whether anything changed."""
        with self._working:
            before = self.store.version
            for part in self._parts:
                part.step()
            return self.store.version != before

    def settle(self) -> None:
        """Let the cluster work until nothing changes any more. Raises TimeoutError where it never comes to rest."""
        for _ in range(_MOST_STEPS):
            if not self.step():
                return
        raise TimeoutError(f"the cluster did not come to rest within {_MOST_STEPS} steps")

    def _work(self) -> None:
        while not self._closing.is_set():
            if not self.step():
                self._closing.wait(0.02)

    # ---- its end ---------------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Stop everything."""
        self._closing.set()
        if self._server is not None:
            self._server.close()
        if self._worker is not None:
            self._worker.join()
        self.pods.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@cache
def _own_crds() -> Sequence[Mapping[str, Any]]:
    from serin.controller.crds import manifests

    return manifests()
