"""The HTTP API of Kubernetes: paths and queries to what is done, objects and refusals to answers."""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from . import patches, routes
from .access import Access
from .discovery import described
from .objects import Object
from .refusals import Refusal, bad_request, forbidden, invalid, no_such_path
from .registry import Registry
from .resources import PODS, SERVICE_ACCOUNTS, Resource
from .routes import Route
from .store import Stored
from .watching import events, selected


class Logs(Protocol):
    """Where what pods printed is."""

    def log(self, namespace: str, pod: str) -> bytes:
        """All of it until now."""

    def printing(self, namespace: str, pod: str) -> bool:
        """Whether more may come."""


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

    def __init__(self, registry: Registry, resources: list[Resource], access: Access, logs: Logs) -> None:
        self.registry = registry
        self.store = registry.store
        self.resources = resources
        self.access = access
        self.logs = logs

    def route(self, method: str, path: str, query: Mapping[str, str]) -> Route:
        """What is asked. Raises Refusal for a path that is not served."""
        return routes.route(self.resources, method, path, query)

    def check(self, route: Route, token: str) -> None:
        """Raises Refusal where the token does not allow what is asked."""
        if not self.access.known(token):
            raise Refusal(401, "Unauthorized", "Unauthorized")
        if route.resource is not None and not self.access.allows(
            token, route.verb, route.resource.group, route.what, route.namespace
        ):
            raise forbidden(
                self.access.user(token, route.namespace), route.verb, route.what, route.resource.group, route.namespace
            )

    def answer(self, route: Route, headers: Mapping[str, str], body: bytes, over: Callable[[], bool]) -> Answer:
        """Do what is asked. ``over`` says that nobody listens to a stream any more.

        Raises:
            Refusal: an answer with another code.
        """
        resource = route.resource
        if resource is None:
            return _whole(described(self.resources, route.path))
        if route.subresource == "log" and resource == PODS and route.verb == "get":
            return self._log(route, over)
        if (part := _PARTS.get((resource, route.subresource, route.verb))) is not None:
            return part(self, route, _parsed(body, headers))
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
            for stored in selected(self.store, resource, route):
                metadata, options = stored.object["metadata"], sent or {}
                self.registry.delete(
                    resource,
                    metadata.get("namespace", ""),
                    metadata["name"],
                    propagation=options.get("propagationPolicy"),
                    grace_s=options.get("gracePeriodSeconds"),
                )
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
        if sort == "application/strategic-merge-patch+json" and not where[0].is_custom:
            return self.registry.patch(*where, lambda old: patches.strategic(old, sent), route.subresource, **how)
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
            found, version = selected(self.store, resource, route), self.store.version
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
        if "sendInitialEvents" in route.query:
            raise Refusal(422, "Invalid", "sendInitialEvents is forbidden: this server does not stream lists")
        return Answer(200, events(self.store, resource, route, over))

    def _bind(self, route: Route, sent: Any) -> Answer:
        """``pods/binding``: what a scheduler asks for."""
        target = (sent or {}).get("target") or {}
        if target.get("kind", "Node") != "Node" or not target.get("name"):
            raise invalid("Binding", route.name, ["target.name: Required value: the name of a Node"])
        self.registry.bind(route.namespace, route.name, target["name"])
        return _whole({"kind": "Status", "apiVersion": "v1", "status": "Success"}, 201)

    def _token(self, route: Route, sent: Any) -> Answer:
        """``serviceaccounts/token``: the TokenRequest API. Tokens are good for as long as the stand-in is there."""
        spec = (sent or {}).get("spec") or {}
        if spec.get("expirationSeconds", 3600) < 600:
            fault = "spec.expirationSeconds: Invalid value: may not specify a duration less than 10 minutes"
            raise invalid("TokenRequest", route.name, [fault])
        status = {"token": self.access.issue(route.namespace, route.name)}
        head = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {"name": route.name}}
        return _whole({**head, "spec": spec, "status": status}, 201)

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


_PARTS: Mapping[tuple[Resource, str, str], Callable[[Api, Route, Any], Answer]] = {
    (PODS, "binding", "create"): Api._bind,
    (SERVICE_ACCOUNTS, "token", "create"): Api._token,
}


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
