"""The namespace controller: a namespace goes when everything in it has gone. Source: ``pkg/controller/namespace/deletion``."""

from .registry import Registry
from .resources import NAMESPACES


class Namespaces:
    """Empties the namespaces that somebody deleted."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def step(self) -> None:
        """One look at every namespace."""
        store = self._registry.store
        for stored in store.all(NAMESPACES):
            metadata = stored.object["metadata"]
            if not metadata.get("deletionTimestamp"):
                continue
            name, is_empty = metadata["name"], True
            for resource in store.resources():
                for inside in store.all(resource, name) if resource.namespaced else ():
                    is_empty = False
                    if not inside.object["metadata"].get("deletionTimestamp"):
                        self._registry.delete(
                            resource, name, inside.object["metadata"]["name"], propagation="Background"
                        )
            if is_empty:
                self._registry.store.remove(NAMESPACES, ("", name))
