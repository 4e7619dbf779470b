"""CustomResourceDefinitions that somebody creates: from then on their kinds are served, and no longer than they are there.

A definition is not changed later: what is served is what it said at first.
"""

from typing import Any

from ..clock import Clock, stamp
from .conditions import with_condition
from .objects import Object
from .registry import Registry
from .resources import DEFINITIONS, Resource, custom


class Definitions:
    """Adds to ``resources``, and takes away."""

    def __init__(self, registry: Registry, clock: Clock, resources: list[Resource]) -> None:
        self._registry = registry
        self._clock = clock
        self._resources = resources
        self._served: dict[str, list[Resource]] = {}

    def step(self) -> None:
        """One look at every definition."""
        found = {s.object["metadata"]["uid"]: s.object for s in self._registry.store.all(DEFINITIONS)}
        for uid in found.keys() - self._served.keys():
            self._serve(uid, found[uid])
        for uid in self._served.keys() - found.keys():
            self._withdraw(self._served.pop(uid))

    def _serve(self, uid: str, definition: Object) -> None:
        self._served[uid] = [new for new in custom([definition]) if new not in self._resources]
        self._resources.extend(self._served[uid])
        now, conditions = stamp(self._clock.now()), list[Any]()
        for sort, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ):
            conditions = with_condition(conditions, sort, "True", reason, message, now)
        status = {"status": {"conditions": conditions}}
        self._registry.merge(DEFINITIONS, "", definition["metadata"]["name"], status, "status")

    def _withdraw(self, gone: list[Resource]) -> None:
        for resource in gone:
            self._resources.remove(resource)
            for stored in self._registry.store.all(resource):
                metadata = stored.object["metadata"]
                self._registry.delete(resource, metadata.get("namespace", ""), metadata["name"])
