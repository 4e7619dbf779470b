"""The garbage collector: what belongs to something that is gone goes too."""

from .registry import Registry
from .resources import Resource
from .store import Change


class Garbage:
    """Looks again only when something was deleted."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._dirty = True
        registry.store.on_change.append(self._noticed)

    def _noticed(self, _: Resource, change: Change) -> None:
        """Something may be without an owner once one is gone, and an object may be created for an owner that is gone."""
        self._dirty = self._dirty or change.type != "MODIFIED" or "deletionTimestamp" in change.now.object["metadata"]

    def step(self) -> None:
        """Delete every object all of whose owners are gone, and finish deletions in the foreground."""
        if not self._dirty:
            return
        self._dirty = False
        store = self._registry.store
        with store.lock:
            everything = [(r, s.object) for r in store.resources() for s in store.all(r)]
            uids = {found["metadata"]["uid"] for _, found in everything}
            foreground = {
                found["metadata"]["uid"]
                for _, found in everything
                if "foregroundDeletion" in (found["metadata"].get("finalizers") or ())
            }
            blocked = set()
            for resource, found in everything:
                metadata = found["metadata"]
                owners = metadata.get("ownerReferences") or ()
                ending = [o["uid"] for o in owners if o["uid"] in foreground]
                blocked.update(ending)
                orphaned = bool(owners) and not any(o["uid"] in uids for o in owners)
                if (orphaned or ending) and not metadata.get("deletionTimestamp"):
                    key = (metadata.get("namespace", ""), metadata["name"])
                    if store.get(resource, key) is not None:
                        self._registry.delete(resource, *key, uid=metadata["uid"], propagation="Background")
                        self._dirty = True
            for resource, found in everything:
                metadata = found["metadata"]
                if "foregroundDeletion" in (metadata.get("finalizers") or ()) and metadata["uid"] not in blocked:
                    left = [f for f in metadata["finalizers"] if f != "foregroundDeletion"]
                    key = (metadata.get("namespace", ""), metadata["name"])
                    self._registry.merge(
                        resource, *key, {"metadata": {"finalizers": left or None}}, manager="garbage-collector"
                    )
