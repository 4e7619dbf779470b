"""Watches: which objects a request selects, and the lines that tell what happens to them."""

import time
from collections.abc import Callable, Iterator

import orjson

from . import selectors
from .refusals import Refusal
from .resources import Resource
from .routes import Route
from .selectors import Matches
from .store import Change, Store, Stored, deadline

_BOOKMARK_S = 5.0


def matching(route: Route) -> Matches:
    """Whether an object has the labels and fields that a request asks for."""
    by_label = selectors.labels(route.query.get("labelSelector", ""))
    by_field = selectors.fields(route.query.get("fieldSelector", ""))
    return lambda found: by_label(found) and by_field(found)


def selected(store: Store, resource: Resource, route: Route) -> list[Stored]:
    """The objects that a request asks for."""
    matches = matching(route)
    return [s for s in store.all(resource, route.namespace or None) if matches(s.object)]


def events(store: Store, resource: Resource, route: Route, over: Callable[[], bool]) -> Iterator[bytes]:
    """What happens to objects, a line each, from the version that is asked for. Raises nothing: a refusal is an event too."""
    matches, timeout_s = matching(route), float(route.query.get("timeoutSeconds", "1800"))
    timed_out = deadline(timeout_s)
    since = int(route.query.get("resourceVersion") or 0)
    bookmarks = route.query.get("allowWatchBookmarks") in ("1", "true", "True")
    if since == 0:
        with store.lock:
            found, since = selected(store, resource, route), store.version
        yield from (_event("ADDED", stored.json()) for stored in found)
    told = time.monotonic()
    try:
        for changes in store.changes(resource, since, lambda: over() or timed_out()):
            for change in changes:
                since = change.version
                if sort := _seen(change, route.namespace, matches):
                    yield _event(sort, change.now.json())
            if bookmarks and time.monotonic() - told > _BOOKMARK_S:
                told = time.monotonic()
                yield _bookmark(resource, store.version if not changes else since)
    except Refusal as refusal:
        yield _event("ERROR", orjson.dumps(refusal.status()))
        return
    if bookmarks and not over():
        yield _bookmark(resource, since)


def _seen(change: Change, namespace: str, matches: Matches) -> str | None:
    """What a watch with a selector is told of a change: an object that leaves the selection is deleted for it."""
    if namespace and change.now.object["metadata"].get("namespace") != namespace:
        return None
    is_in = change.type != "DELETED" and matches(change.now.object)
    was_in = change.before is not None and matches(change.before.object)
    if is_in:
        return "MODIFIED" if was_in else "ADDED"
    return "DELETED" if was_in else None


def _event(sort: str, body: bytes) -> bytes:
    return b'{"type":"' + sort.encode() + b'","object":' + body + b"}\n"


def _bookmark(resource: Resource, version: int) -> bytes:
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    return _event(
        "BOOKMARK", orjson.dumps({"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata})
    )
