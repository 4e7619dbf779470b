"""Parts of objects: what a write may change, what managers own, and what makes a version another one."""

from typing import Any

import orjson

from .refusals import bad_request
from .resources import Resource

Object = dict[str, Any]
SERVERS = (
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
    "managedFields",
    "deletionTimestamp",
    "selfLink",
)
"""Metadata that only the server writes."""


def identified(resource: Resource, namespace: str, body: Object) -> Object:
    """A new object under the name and namespace of its request. Raises Refusal where they contradict each other."""
    new = copied(body)
    if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
        raise bad_request("the object provided is unrecognized: metadata is required")
    for name, expected in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        if new.setdefault(name, expected) != expected:
            raise bad_request(f"{name} {new[name]!r} in the data does not match the expected {expected!r}")
    if resource.namespaced:
        if new["metadata"].setdefault("namespace", namespace) != namespace:
            given = new["metadata"]["namespace"]
            raise bad_request(
                f"the namespace of the object ({given}) does not match the namespace on the request ({namespace})"
            )
    else:
        new["metadata"].pop("namespace", None)
    return new


def kept(resource: Resource, old: Object, new: Object, subresource: str) -> Object:
    """``new`` with what this kind of write cannot change taken from ``old``."""
    if subresource == "status":
        result = {**old, "metadata": dict(old["metadata"])}
        result.pop("status", None)
        return {**result, **({"status": new["status"]} if "status" in new else {})}
    metadata = {k: v for k, v in new["metadata"].items() if k not in SERVERS}
    metadata.update({k: old["metadata"][k] for k in (*SERVERS, "deletionGracePeriodSeconds") if k in old["metadata"]})
    result = {**new, "metadata": metadata}
    if resource.has_status:
        result.pop("status", None)
        if "status" in old:
            result["status"] = old["status"]
    return result


def ownable(value: Object, status: bool = False) -> Object:
    """What managers own of an object."""
    metadata = value.get("metadata") or {}
    owned = {
        k: v for k, v in value.items() if k not in ("apiVersion", "kind", "metadata") and (status or k != "status")
    }
    named = {k: metadata[k] for k in ("labels", "annotations", "finalizers") if metadata.get(k)}
    return {**owned, **({"metadata": named} if named else {})}


def copied(value: Object) -> Object:
    """As deep as it is."""
    copied: Object = orjson.loads(orjson.dumps(value))
    return copied


def content(value: Object) -> Object:
    """What generation counts the changes of."""
    return {k: v for k, v in value.items() if k not in ("metadata", "status")}


def timeless(value: Object) -> Object:
    """What a write must change to be one: not the version, nor the times at which managers wrote."""
    metadata = {k: v for k, v in value["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    fields = [{k: v for k, v in entry.items() if k != "time"} for entry in value["metadata"].get("managedFields") or ()]
    return {**value, "metadata": {**metadata, "managedFields": fields}}


def plural_of(resource: Resource) -> str:
    """As refusals name its objects."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def kind_of(resource: Resource) -> str:
    """As refusals of invalid objects name it."""
    return f"{resource.kind}.{resource.group}" if resource.group else resource.kind
