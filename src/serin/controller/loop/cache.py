"""What the API server said last about the objects of one kind."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from serin.clients.kubernetes import Object
from serin.controller.loop.trimming import without_copies

Keys = Callable[[Object], Iterable[str]]
"""By which words an object is looked up, besides its name."""
Trim = Callable[[Object], Object]
"""An object without what nobody reads; a change of that alone is no change."""


@dataclass(frozen=True, slots=True)
class _Held:
    """An object as JSON: a tenth of what it takes as a dict, and no reader can change what another one sees."""

    version: int | None
    keys: tuple[str, ...]
    data: bytes


class Cache:
    """Objects of one kind in one namespace, by name and by the words that ``keys`` gives. Safe between threads.

    An object never goes back to an older version: what was just written may be put here at once, and the watch, which lags
    behind, does not undo it. resourceVersions of one kind can be compared as numbers (KEP-5504; etcd's always could).
    """

    def __init__(self, keys: Keys, trim: Trim = without_copies) -> None:
        self._keys = keys
        self._trim = trim
        self._held: dict[str, _Held] = {}
        self._names: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, name: str) -> Object | None:
        """The object of this name."""
        with self._lock:
            held = self._held.get(name)
        return json.loads(held.data) if held else None

    def by(self, key: str) -> list[Object]:
        """Every object with this word, by name."""
        with self._lock:
            found = [self._held[name] for name in sorted(self._names.get(key, ()))]
        return [json.loads(held.data) for held in found]

    def names(self) -> list[str]:
        """Of all."""
        with self._lock:
            return list(self._held)

    def keys_of(self, name: str) -> tuple[str, ...]:
        """The words of the object of this name."""
        with self._lock:
            held = self._held.get(name)
            return held.keys if held else ()

    def put(self, found: Object) -> bool:
        """Keep an object, unless a newer version of it is there; whether it was new."""
        name, held = str(found["metadata"]["name"]), self._hold(found)
        with self._lock:
            return self._replace(name, held)

    def remove(self, found: Object) -> bool:
        """Forget an object that was deleted, unless another of its name has been made since."""
        name, version = str(found["metadata"]["name"]), version_of(found)
        with self._lock:
            held = self._held.get(name)
            if held is None or _is_older(version, held.version):
                return False
            self._drop(name)
            return True

    def reset(self, pages: Iterable[tuple[list[Object], str]]) -> tuple[str, set[str]]:
        """Become what a list says, page by page; its resourceVersion, and the words and names of what changed."""
        seen: set[str] = set()
        changed: set[str] = set()
        version = ""
        for items, version in pages:  # noqa: B007 - all pages show one version
            for found in items:
                name = str(found["metadata"]["name"])
                seen.add(name)
                if self.put(found):
                    changed.update((name, *self.keys_of(name)))
        listed = int(version) if version.isdecimal() else None
        with self._lock:
            for name in [name for name in self._held if name not in seen]:
                held = self._held[name]
                if _is_older(listed, held.version):
                    continue  # made after the list
                changed.update((name, *held.keys))
                self._drop(name)
        return version, changed

    def _hold(self, found: Object) -> _Held:
        data = json.dumps(self._trim(found), separators=(",", ":")).encode()
        return _Held(version_of(found), tuple(dict.fromkeys(self._keys(found))), data)

    def _replace(self, name: str, held: _Held) -> bool:
        old = self._held.get(name)
        if old is not None and (old.data == held.data or _is_older(held.version, old.version)):
            return False
        if old is not None:
            self._drop(name)
        self._held[name] = held
        for key in held.keys:
            self._names.setdefault(key, set()).add(name)
        return True

    def _drop(self, name: str) -> None:
        for key in self._held.pop(name).keys:
            names = self._names[key]
            names.discard(name)
            if not names:
                del self._names[key]

    def __iter__(self) -> Iterator[Object]:
        for name in self.names():
            if (found := self.get(name)) is not None:
                yield found


def version_of(found: Mapping[str, Any]) -> int | None:
    """An object's resourceVersion; None where it is no number, and cannot be compared."""
    text = str(found["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdecimal() else None


def _is_older(version: int | None, other: int | None) -> bool:
    return version is not None and other is not None and version < other
