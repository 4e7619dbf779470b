"""What an API server keeps: every object under one counter of versions, and the changes that watches follow."""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from .ownership import Owners
from .refusals import expired
from .resources import Resource

Key = tuple[str, str]
"""Namespace and name."""


@dataclass(slots=True)
class Stored:
    """One version of an object. ``object`` is never changed in place."""

    object: dict[str, Any]
    owners: Owners = field(default_factory=dict)
    _json: bytes | None = None

    def json(self) -> bytes:
        """The object as it is sent, encoded once."""
        if self._json is None:
            self._json = orjson.dumps(self.object)
        return self._json

    def listed(self) -> bytes:
        """The object as an item of a list of a built-in kind, which says apiVersion and kind once for all."""
        return orjson.dumps({name: value for name, value in self.object.items() if name not in ("apiVersion", "kind")})


@dataclass(frozen=True, slots=True)
class Change:
    """One write. ``before`` is None for the first one of an object."""

    version: int
    type: str
    now: Stored
    before: Stored | None


@dataclass
class _Shelf:
    objects: dict[Key, Stored] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    forgotten: int = 0
    """Versions up to here cannot be watched from any more."""


class Store:
    """Objects by resource. Every method may be called from any thread."""

    def __init__(self, history: int = 20_000) -> None:
        self.lock = threading.RLock()
        self.version = 1
        self._history = history
        self._shelves: dict[Resource, _Shelf] = {}
        self._changed: dict[Resource, threading.Condition] = {}
        self.on_change: list[Callable[[Resource, Change], None]] = []

    def get(self, resource: Resource, key: Key) -> Stored | None:
        """One object."""
        with self.lock:
            return self._shelf(resource).objects.get(key)

    def all(self, resource: Resource, namespace: str | None = None) -> list[Stored]:
        """Every object, by name."""
        with self.lock:
            objects = self._shelf(resource).objects
            return [objects[key] for key in sorted(objects) if namespace in (None, key[0])]

    def put(self, resource: Resource, key: Key, new: dict[str, Any], owners: Owners) -> Stored:
        """Store a version of an object under the next number."""
        with self.lock:
            before = self._shelf(resource).objects.get(key)
            stored = Stored(self._numbered(new), owners)
            self._shelf(resource).objects[key] = stored
            self._tell(resource, Change(self.version, "MODIFIED" if before else "ADDED", stored, before))
            return stored

    def remove(self, resource: Resource, key: Key) -> Stored:
        """Remove an object; its last version has the number of its removal."""
        with self.lock:
            before = self._shelf(resource).objects.pop(key)
            stored = Stored(self._numbered(before.object), before.owners)
            self._tell(resource, Change(self.version, "DELETED", stored, before))
            return stored

    def resources(self) -> list[Resource]:
        """Every resource that was ever asked for."""
        with self.lock:
            return list(self._shelves)

    def forget(self, resource: Resource | None = None) -> None:
        """Drop the history, so that whoever watches from a version before now is told 410."""
        with self.lock:
            for known, shelf in self._shelves.items():
                if resource in (None, known):
                    shelf.changes.clear()
                    shelf.forgotten = self.version

    def oldest(self, resource: Resource) -> int:
        """Versions before this one are forgotten."""
        with self.lock:
            return self._shelf(resource).forgotten

    def changes(
        self, resource: Resource, since: int, until: Callable[[], bool], pause_s: float = 0.25
    ) -> Iterator[list[Change]]:
        """Batches of changes after ``since``: those that are there, and more until ``until`` says so, which is asked at least
        every ``pause_s``.

        Raises:
            Refusal: 410 where they are forgotten.
        """
        while True:
            with self.lock:
                shelf = self._shelf(resource)
                if since < shelf.forgotten:
                    raise expired(str(since))
                start = bisect_right(shelf.changes, since, key=lambda change: change.version)
                found = shelf.changes[start:]
                if not found and not until():
                    self._changed[resource].wait(pause_s)
            if found:
                since = found[-1].version
            yield found
            if until():
                return

    def wake(self) -> None:
        """Let every watch ask at once whether it is over."""
        with self.lock:
            for changed in self._changed.values():
                changed.notify_all()

    def _shelf(self, resource: Resource) -> _Shelf:
        if resource not in self._shelves:
            self._shelves[resource] = _Shelf()
            self._changed[resource] = threading.Condition(self.lock)
        return self._shelves[resource]

    def _numbered(self, new: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        return {**new, "metadata": {**new["metadata"], "resourceVersion": str(self.version)}}

    def _tell(self, resource: Resource, change: Change) -> None:
        shelf = self._shelf(resource)
        shelf.changes.append(change)
        if len(shelf.changes) > 2 * self._history:
            shelf.forgotten = shelf.changes[self._history - 1].version
            del shelf.changes[: self._history]
        self._changed[resource].notify_all()
        for tell in self.on_change:
            tell(resource, change)


def deadline(seconds: float | None) -> Callable[[], bool]:
    """Says whether so many seconds are over; never for None."""
    end = None if seconds is None else time.monotonic() + seconds
    return lambda: end is not None and time.monotonic() >= end
