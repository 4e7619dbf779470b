"""What an API server says of itself: version, groups and resources."""

from collections.abc import Iterable, Iterator, Sequence

from .objects import Object
from .refusals import no_such_path
from .resources import Resource


def described(resources: Sequence[Resource], path: str) -> Object:
    """What the API says of itself at a path. Raises Refusal where it says nothing."""
    parts = [part for part in path.split("/") if part]
    if parts == ["version"]:
        return {"major": "1", "minor": "35", "gitVersion": "v1.35.0-standin", "platform": "linux/amd64"}
    if parts[0] in ("readyz", "livez", "healthz"):
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    groups: dict[str, list[str]] = {}
    for resource in resources:
        if resource.group and resource.version not in groups.setdefault(resource.group, []):
            groups[resource.group].append(resource.version)
    if parts == ["apis"]:
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g, v) for g, v in groups.items()]}
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in groups:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], groups[parts[1]])}
    wanted = ("", parts[1]) if parts[0] == "api" else tuple(parts[1:3])
    found = [r for r in resources if (r.group, r.version) == wanted]
    if not found or parts[0] == "openapi":
        raise no_such_path()
    entries = [entry for resource in found for entry in _entries(resource)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].api_version,
        "resources": entries,
    }


def _group(name: str, versions: Iterable[str]) -> Object:
    known = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": known, "preferredVersion": known[0]}


def _entries(resource: Resource) -> Iterator[Object]:
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    known = {"kind": resource.kind, "namespaced": resource.namespaced, "singularName": resource.kind.lower()}
    yield {"name": resource.plural, "verbs": verbs, "shortNames": list(resource.short_names), **known}
    if resource.has_status:
        yield {"name": f"{resource.plural}/status", "verbs": ["get", "patch", "update"], **known}
