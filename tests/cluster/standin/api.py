"""The HTTP API of Kubernetes: paths and queries to what is done, objects and refusals to answers."""

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from . import patches, selectors
from .access import Access
from .refusals import Refusal, bad_request, forbidden, no_such_path
from .registry import Object, Registry
from .resources import PODS, Resource
from .selectors import Matches
from .store import Change, Stored, deadline

_BOOKMARK_S = 5.0
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Logs(Protocol):
    """Where what pods printed is."""

    def log(self, namespace: str, pod: str) -> bytes:
        """All of it until now."""

    def printing(self, namespace: str, pod: str) -> bool:
        """Whether more may come."""


@dataclass(frozen=True)
class Route:
    """What a request is about."""

    verb: str
    resource: Resource | None
    """None: the API describes itself."""
    namespace: str
    name: str
    subresource: str
    path: str
    query: Mapping[str, str]

    @property
    def what(self) -> str:
        """The plural with its subresource, as RBAC has it."""
        plural = self.resource.plural if self.resource else self.path
        return f"{plural}/{self.subresource}" if self.subresource else plural


@dataclass(frozen=True)
class Answer:
    """``body`` is whole, or a stream of pieces."""

    code: int
    body: bytes | Iterator[bytes]
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def refused(refusal: Refusal) -> Answer:
    """A refusal as an answer."""
    return Answer(refusal.code, orjson.dumps(refusal.status()), headers=refusal.headers)


class Api:
    """Answers requests. It has no state of its own."""

    def __init__(self, registry: Registry, resources: Sequence[Resource], access: Access, logs: Logs) -> None:
        self.registry = registry
        self.store = registry.store
        self.resources = list(resources)
        self.access = access
        self.logs = logs

    def route(self, method: str, path: str, query: Mapping[str, str]) -> Route:
        """What is asked. Raises Refusal for a path that is not served."""
        parts = [part for part in path.split("/") if part]
        verb = _VERBS.get(method)
        if verb is None:
            raise Refusal(405, "MethodNotAllowed", f"the server does not allow {method} on the requested resource")
        if parts in (["api"], ["apis"], ["version"], ["readyz"], ["livez"], ["healthz"]) or parts[:1] == ["openapi"]:
            return Route(verb, None, "", "", "", path, query)
        if parts[:1] == ["api"] and len(parts) >= 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[:1] == ["apis"] and len(parts) >= 2:
            group, version, rest = parts[1], parts[2] if len(parts) > 2 else "", parts[3:]
        else:
            raise no_such_path()
        if not rest:
            return Route(verb, None, "", "", "", path, query)
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        found = [r for r in self.resources if (r.group, r.version, r.plural) == (group, version, rest[0])]
        if not found or len(rest) > 3:
            raise no_such_path()
        name, subresource = rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else ""
        if not name and verb == "get":
            verb = "watch" if query.get("watch") in ("1", "true", "True") else "list"
        if not name and verb == "delete":
            verb = "deletecollection"
        return Route(verb, found[0], namespace, name, subresource, path, query)

    def check(self, route: Route, token: str) -> None:
        """Raises Refusal where the token does not allow what is asked."""
        if not self.access.known(token):
            raise Refusal(401, "Unauthorized", "Unauthorized")
        if route.resource is not None and not self.access.allows(token, route.verb, route.resource.group, route.what):
            who = f"system:serviceaccount:{route.namespace or 'default'}:{token}"
            raise forbidden(who, route.verb, route.what, route.resource.group, route.namespace)

    def answer(self, route: Route, headers: Mapping[str, str], body: bytes, over: Callable[[], bool]) -> Answer:
        """Do what is asked. ``over`` says that nobody listens to a stream any more.

        Raises:
            Refusal: an answer with another code.
        """
        resource = route.resource
        if resource is None:
            return _whole(self._discovery(route.path))
        if route.subresource == "log" and resource == PODS and route.verb == "get":
            return self._log(route, over)
        if route.subresource not in ("", "status") or (route.subresource and not resource.has_status):
            raise no_such_path()
        if route.verb == "list":
            return self._list(resource, route)
        if route.verb == "watch":
            return self._watch(resource, route, over)
        if route.verb == "get":
            return Answer(200, self.registry.require(resource, route.namespace, route.name).json())
        sent = _parsed(body, headers)
        if route.verb == "delete":
            return self._delete(resource, route, sent)
        if route.verb == "deletecollection":
            for stored in self._matching(resource, route):
                namespace, name = stored.object["metadata"].get("namespace", ""), stored.object["metadata"]["name"]
                self.registry.delete(resource, namespace, name, propagation=(sent or {}).get("propagationPolicy"))
            return _whole({"kind": "Status", "apiVersion": "v1", "status": "Success"})
        how: dict[str, Any] = {"manager": _manager(route, headers), "dry_run": "dryRun" in route.query}
        if route.verb == "create":
            return _whole(self.registry.create(resource, route.namespace, sent, **how), 201)
        where = (resource, route.namespace, route.name)
        if route.verb == "update":
            return _whole(self.registry.replace(*where, sent, route.subresource, **how))
        return _whole(self._patch(where, route, headers, sent, how))

    # ---- verbs -----------------------------------------------------------------------------------------------------------
    def _patch(
        self, where: tuple[Resource, str, str], route: Route, headers: Mapping[str, str], sent: Any, how: dict[str, Any]
    ) -> Object:
        sort = headers.get("Content-Type", "").partition(";")[0].strip()
        if sort == "application/merge-patch+json":
            return self.registry.merge(*where, sent, route.subresource, **how)
        if sort == "application/json-patch+json":
            return self.registry.patch(*where, lambda old: patches.patched(old, sent), route.subresource, **how)
        if sort == "application/apply-patch+yaml":
            how["manager"] = route.query.get("fieldManager", "")
            force = route.query.get("force") in ("1", "true", "True")
            return self.registry.apply(*where, sent, force=force, subresource=route.subresource, **how)
        if sort == "application/strategic-merge-patch+json" and where[0].manifest is None:
            # Only its plain form: lists are replaced, which no caller here relies on.
            return self.registry.merge(*where, sent, route.subresource, **how)
        raise Refusal(415, "UnsupportedMediaType", f"the body of the request was in an unknown format - {sort}")

    def _delete(self, resource: Resource, route: Route, options: Any) -> Answer:
        options = {**(options or {}), **{k: route.query[k] for k in ("propagationPolicy",) if k in route.query}}
        conditions = options.get("preconditions") or {}
        grace = options.get("gracePeriodSeconds", route.query.get("gracePeriodSeconds"))
        old, gone = self.registry.delete(
            resource,
            route.namespace,
            route.name,
            uid=conditions.get("uid"),
            version=conditions.get("resourceVersion"),
            propagation=options.get("propagationPolicy"),
            grace_s=None if grace is None else int(grace),
            dry_run="dryRun" in route.query or bool(options.get("dryRun")),
        )
        if not gone:
            return _whole(old)
        details = {"name": route.name, "kind": resource.plural, "group": resource.group, "uid": old["metadata"]["uid"]}
        return _whole({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})

    def _list(self, resource: Resource, route: Route) -> Answer:
        with self.store.lock:
            found, version = self._matching(resource, route), self.store.version
        rest: Object = {}
        if after := route.query.get("continue"):
            version, start = _continued(after)
            if version < self.store.oldest(resource):
                raise Refusal(
                    410, "Expired", "The provided continue parameter is too old to display a consistent list result"
                )
            found = [stored for stored in found if _key(stored) > start]
        if (limit := int(route.query.get("limit", "0"))) and len(found) > limit:
            token = json.dumps([version, *_key(found[limit - 1])])
            rest = {
                "continue": base64.urlsafe_b64encode(token.encode()).decode(),
                "remainingItemCount": len(found) - limit,
            }
            found = found[:limit]
        head = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version}
        metadata = orjson.dumps({"resourceVersion": str(version), **rest})
        items = b",".join(stored.json() if resource.is_custom else stored.listed() for stored in found)
        return Answer(200, orjson.dumps(head)[:-1] + b',"metadata":' + metadata + b',"items":[' + items + b"]}")

    def _watch(self, resource: Resource, route: Route, over: Callable[[], bool]) -> Answer:
        timeout_s = float(route.query.get("timeoutSeconds", "1800"))
        if "sendInitialEvents" in route.query:
            raise Refusal(422, "Invalid", "sendInitialEvents is forbidden: this server does not stream lists")
        return Answer(200, self._stream(resource, route, timeout_s, over))

    def _stream(self, resource: Resource, route: Route, timeout_s: float, over: Callable[[], bool]) -> Iterator[bytes]:
        matches = self._matches(route)
        timed_out = deadline(timeout_s)
        since = int(route.query.get("resourceVersion") or 0)
        bookmarks = route.query.get("allowWatchBookmarks") in ("1", "true", "True")
        if since == 0:
            with self.store.lock:
                found, since = self._matching(resource, route), self.store.version
            yield from (_event("ADDED", stored.json()) for stored in found)
        told = time.monotonic()
        try:
            for changes in self.store.changes(resource, since, lambda: over() or timed_out()):
                for change in changes:
                    since = change.version
                    if sort := _seen(change, route.namespace, matches):
                        yield _event(sort, change.now.json())
                if bookmarks and time.monotonic() - told > _BOOKMARK_S:
                    told = time.monotonic()
                    yield _bookmark(resource, self.store.version if not changes else since)
        except Refusal as refusal:
            yield _event("ERROR", orjson.dumps(refusal.status()))
            return
        if bookmarks and not over():
            yield _bookmark(resource, since)

    def _log(self, route: Route, over: Callable[[], bool]) -> Answer:
        pod = self.registry.require(PODS, route.namespace, route.name).object
        states = pod.get("status", {}).get("containerStatuses") or [
            {"state": {"waiting": {"reason": "ContainerCreating"}}}
        ]
        container = route.query.get("container", pod["spec"]["containers"][0]["name"])
        if container not in [c["name"] for c in pod["spec"]["containers"]]:
            raise bad_request(f"container {container} is not valid for pod {route.name}")
        if "waiting" in states[0].get("state", {}):
            why = states[0]["state"]["waiting"]["reason"]
            raise bad_request(f'container "{container}" in pod "{route.name}" is waiting to start: {why}')
        if route.query.get("follow") not in ("1", "true", "True"):
            log = self.logs.log(route.namespace, route.name)
            if tail := int(route.query.get("tailLines", "0")):
                log = b"".join(log.splitlines(keepends=True)[-tail:])
            return Answer(200, log, "text/plain")
        return Answer(200, self._follow(route, over), "text/plain")

    def _follow(self, route: Route, over: Callable[[], bool]) -> Iterator[bytes]:
        sent = 0
        while not over():
            more = self.logs.printing(route.namespace, route.name)
            if new := self.logs.log(route.namespace, route.name)[sent:]:
                sent += len(new)
                yield new
            elif not more:
                return
            else:
                time.sleep(0.02)

    # ---- what matches ----------------------------------------------------------------------------------------------------
    def _matches(self, route: Route) -> Matches:
        by_label = selectors.labels(route.query.get("labelSelector", ""))
        by_field = selectors.fields(route.query.get("fieldSelector", ""))
        return lambda found: by_label(found) and by_field(found)

    def _matching(self, resource: Resource, route: Route) -> list[Stored]:
        matches = self._matches(route)
        return [s for s in self.store.all(resource, route.namespace or None) if matches(s.object)]

    def _discovery(self, path: str) -> Object:
        parts = [part for part in path.split("/") if part]
        if parts == ["version"]:
            return {"major": "1", "minor": "35", "gitVersion": "v1.35.0-standin", "platform": "linux/amd64"}
        if parts[0] in ("readyz", "livez", "healthz"):
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        groups: dict[str, list[str]] = {}
        for resource in self.resources:
            if resource.group and resource.version not in groups.setdefault(resource.group, []):
                groups[resource.group].append(resource.version)
        if parts == ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g, v) for g, v in groups.items()]}
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in groups:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], groups[parts[1]])}
        wanted = ("", parts[1]) if parts[0] == "api" else tuple(parts[1:3])
        found = [r for r in self.resources if (r.group, r.version) == wanted]
        if not found or parts[0] == "openapi":
            raise no_such_path()
        entries = [entry for resource in found for entry in _described(resource)]
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": found[0].api_version,
            "resources": entries,
        }


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


def _whole(body: Object, code: int = 200) -> Answer:
    return Answer(code, orjson.dumps(body))


def _parsed(body: bytes, headers: Mapping[str, str]) -> Any:
    if not body:
        return None
    if headers.get("Content-Type", "").startswith("application/apply-patch+yaml"):
        import yaml

        try:
            return yaml.safe_load(body) if body[:1] != b"{" else orjson.loads(body)
        except (yaml.YAMLError, orjson.JSONDecodeError) as error:
            raise bad_request(f"error decoding YAML: {error}") from error
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the object provided is unrecognized (must be of type Object): {error}") from error


def _manager(route: Route, headers: Mapping[str, str]) -> str:
    return route.query.get("fieldManager") or headers.get("User-Agent", "unknown").partition("/")[0]


def _key(stored: Stored) -> tuple[str, str]:
    return stored.object["metadata"].get("namespace", ""), stored.object["metadata"]["name"]


def _continued(token: str) -> tuple[int, tuple[str, str]]:
    try:
        version, namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise bad_request("continue key is not valid") from error
    return int(version), (namespace, name)


def _group(name: str, versions: Iterable[str]) -> Object:
    known = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": known, "preferredVersion": known[0]}


def _described(resource: Resource) -> Iterator[Object]:
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    known = {"kind": resource.kind, "namespaced": resource.namespaced, "singularName": resource.kind.lower()}
    yield {"name": resource.plural, "verbs": verbs, "shortNames": list(resource.short_names), **known}
    if resource.has_status:
        yield {"name": f"{resource.plural}/status", "verbs": ["get", "patch", "update"], **known}
