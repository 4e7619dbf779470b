"""Paths and queries of the API, and what they ask for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .refusals import Refusal, no_such_path
from .resources import Resource

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


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


def route(resources: Iterable[Resource], method: str, path: str, query: Mapping[str, str]) -> Route:
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
    found = [r for r in resources if (r.group, r.version, r.plural) == (group, version, rest[0])]
    if not found or len(rest) > 3:
        raise no_such_path()
    name, subresource = rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else ""
    if not name and verb == "get":
        verb = "watch" if query.get("watch") in ("1", "true", "True") else "list"
    if not name and verb == "delete":
        verb = "deletecollection"
    return Route(verb, found[0], namespace, name, subresource, path, query)
