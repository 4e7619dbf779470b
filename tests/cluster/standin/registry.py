"""What requests do to objects: creating, replacing, patching, applying and deleting, each with the server's own rules."""

import itertools
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from . import checks, ownership, patches
from .clock import Clock, stamp
from .ownership import Conflicts, Manager, Owners
from .refusals import Refusal, already_exists, bad_request, conflict, invalid, not_found, stale
from .resources import JOBS, NAMESPACES, PODS, Resource
from .store import Key, Store, Stored

Object = dict[str, Any]
Mutate = Callable[[Resource, Object, Object | None], Object]
"""A mutating webhook: the new object, and the old one where there is one."""
_SERVERS = (
    "uid",
    "creationTimestamp",
    "generation",
    "resourceVersion",
    "managedFields",
    "deletionTimestamp",
    "selfLink",
)
"""Metadata that only the server writes."""


class Registry:
    """Objects with the rules of their kinds. ``hooks`` see every object that is about to be stored, as webhooks do."""

    def __init__(
        self, store: Store, clock: Clock, admit: Callable[[Mapping[str, Any], Object, Object | None], Object]
    ) -> None:
        self.store = store
        self.clock = clock
        self.hooks: list[Mutate] = []
        self._admit = admit
        self._status_alone: dict[Resource, Mapping[str, Any]] = {}
        self._suffixes = itertools.count(1)

    # ---- reading ---------------------------------------------------------------------------------------------------------
    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """An object, or None."""
        stored = self.store.get(resource, (namespace, name))
        return None if stored is None else stored.object

    def require(self, resource: Resource, namespace: str, name: str) -> Stored:
        """A stored object. Raises Refusal where there is none."""
        stored = self.store.get(resource, (namespace, name))
        if stored is None:
            raise not_found(_plural(resource), name)
        return stored

    # ---- writing ---------------------------------------------------------------------------------------------------------
    def create(
        self, resource: Resource, namespace: str, body: Object, manager: str = "cluster", dry_run: bool = False
    ) -> Object:
        """Store a new object.

        Raises:
            Refusal: one of that name is there, or the object breaks a rule.
        """
        with self.store.lock:
            new = _identified(resource, namespace, body)
            metadata = new["metadata"]
            if not metadata.get("name") and (prefix := metadata.get("generateName")):
                metadata["name"] = f"{prefix[:58]}{next(self._suffixes):05x}"
            if not metadata.get("name"):
                raise invalid(_kind(resource), "", ["metadata.name: Required value: name or generateName is required"])
            if resource.namespaced and self.find(NAMESPACES, "", namespace) is None:
                raise not_found("namespaces", namespace)
            key = (namespace, metadata["name"])
            if self.store.get(resource, key) is not None:
                raise already_exists(_plural(resource), metadata["name"])
            for name in _SERVERS:
                metadata.pop(name, None)
            metadata["uid"] = str(uuid.uuid4())
            metadata["creationTimestamp"] = stamp(self.clock.now())
            if resource.has_generation:
                metadata["generation"] = 1
            if resource.has_status:
                new.pop("status", None)
            new = self._checked(resource, new, None)
            owners = self._owners(resource, {}, _ownable(new), {}, Manager(manager, "Update"))
            new = self._with_fields(resource, new, owners)
            return new if dry_run else self.store.put(resource, key, new, owners).object

    def replace(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Object,
        subresource: str = "",
        manager: str = "cluster",
        dry_run: bool = False,
    ) -> Object:
        """Store another version of an object, as a PUT does."""
        with self.store.lock:
            stored = self.require(resource, namespace, name)
            new = _identified(resource, namespace, body)
            if new["metadata"].get("name") != name:
                raise bad_request(
                    f"the name of the object ({new['metadata'].get('name')}) does not match the name on the URL ({name})"
                )
            if resource.manifest is not None and not new["metadata"].get("resourceVersion"):
                fault = 'metadata.resourceVersion: Invalid value: "": must be specified for an update'
                raise invalid(_kind(resource), name, [fault])
            return self._update(resource, stored, new, subresource, manager, dry_run)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[Object], Object],
        subresource: str = "",
        manager: str = "cluster",
        dry_run: bool = False,
    ) -> Object:
        """Store what ``change`` makes of an object."""
        with self.store.lock:
            stored = self.require(resource, namespace, name)
            new = change(_copied(stored.object))
            return self._update(resource, stored, new, subresource, manager, dry_run)

    def merge(
        self, resource: Resource, namespace: str, name: str, patch: Object, subresource: str = "", **more: Any
    ) -> Object:
        """A merge patch."""
        return self.patch(resource, namespace, name, lambda old: patches.merged(old, patch), subresource, **more)

    def apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        wanted: Object,
        manager: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply: the fields of ``wanted`` are the manager's, and what it applied before and leaves out goes.

        Raises:
            Refusal: 409 where another manager owns a field and wants it otherwise.
        """
        if not manager:
            raise bad_request(
                "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required for apply patch"
            )
        if wanted.get("apiVersion") != resource.api_version or wanted.get("kind") != resource.kind:
            raise bad_request(f"invalid object type: {wanted.get('apiVersion')}, Kind={wanted.get('kind')}")
        if (wanted.get("metadata") or {}).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        with self.store.lock:
            stored = self.store.get(resource, (namespace, name))
            if stored is None:
                if subresource:
                    raise not_found(_plural(resource), name)
                return self.create(resource, namespace, wanted, manager, dry_run)
            expected = (wanted.get("metadata") or {}).get("resourceVersion")
            if expected and expected != stored.object["metadata"]["resourceVersion"]:
                raise stale(_plural(resource), name)
            if (wanted.get("metadata") or {}).get("uid") not in (None, stored.object["metadata"]["uid"]):
                raise _another(resource, wanted["metadata"]["uid"], stored.object)
            fields = {"status": wanted["status"]} if subresource and "status" in wanted else {}
            if not subresource:
                fields = _ownable(wanted)
            me = Manager(manager, "Apply", subresource)
            live = {k: v for k, v in stored.object.items() if k not in ("apiVersion", "kind")}
            try:
                now = stamp(self.clock.now())
                result, owners = ownership.apply(live, fields, resource.schema, stored.owners, me, force, now)
            except Conflicts as conflicts:
                told = "; ".join(
                    f'conflict with "{m.name}" using {resource.api_version}: {_said(p)}' for m, p in conflicts.fields
                )
                count = len(conflicts.fields)
                raise Refusal(
                    409, "Conflict", f"Apply failed with {count} conflict{'s' * (count > 1)}: {told}"
                ) from None
            new = {**stored.object, **result}
            for gone in set(live) - set(result):
                new.pop(gone, None)
            return self._store(resource, stored, _copied(new), subresource, owners, dry_run)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        uid: str | None = None,
        version: str | None = None,
        propagation: str | None = None,
        grace_s: int | None = None,
        dry_run: bool = False,
    ) -> tuple[Object, bool]:
        """Remove an object, or mark it where something must be done first; and whether it is gone already."""
        with self.store.lock:
            stored = self.require(resource, namespace, name)
            metadata = stored.object["metadata"]
            for what, expected, found in (("UID", uid, metadata["uid"]), ("RV", version, metadata["resourceVersion"])):
                if expected and expected != found:
                    why = f"Precondition failed: {what} in precondition: {expected}, {what} in object meta: {found}"
                    raise conflict(_plural(resource), name, why)
            if dry_run:
                return stored.object, True
            # batch/v1 leaves a Job's pods behind unless it is told otherwise, "for back compatibility" (registry/batch/job).
            propagation = propagation or ("Orphan" if resource == JOBS else "Background")
            finalizers = list(metadata.get("finalizers") or ())
            if propagation == "Foreground" and "foregroundDeletion" not in finalizers:
                finalizers.append("foregroundDeletion")
            if propagation == "Orphan":
                self._orphan(metadata["uid"])
            graceful = resource == PODS and grace_s != 0 and bool(stored.object["spec"].get("nodeName"))
            if graceful and stored.object.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                graceful = False
            if not finalizers and not graceful:
                return self.store.remove(resource, (namespace, name)).object, True
            if metadata.get("deletionTimestamp"):
                return stored.object, False
            grace = grace_s if grace_s is not None else stored.object["spec"].get("terminationGracePeriodSeconds", 30)
            marked = _copied(stored.object)
            marked["metadata"]["deletionTimestamp"] = stamp(self.clock.now())
            marked["metadata"]["deletionGracePeriodSeconds"] = grace if graceful else 0
            if finalizers:
                marked["metadata"]["finalizers"] = finalizers
            return self.store.put(resource, (namespace, name), marked, stored.owners).object, False

    # ---- how a version becomes the next ----------------------------------------------------------------------------------
    def _update(
        self, resource: Resource, stored: Stored, new: Object, subresource: str, manager: str, dry_run: bool
    ) -> Object:
        old = stored.object
        expected = new["metadata"].get("resourceVersion")
        if expected and expected != old["metadata"]["resourceVersion"]:
            raise stale(_plural(resource), old["metadata"]["name"])
        if new["metadata"].get("uid") not in (None, old["metadata"]["uid"]):
            raise _another(resource, new["metadata"]["uid"], old)
        me = Manager(manager, "Update", subresource)
        kept = _kept(resource, old, new, subresource)
        owners = self._owners(resource, _ownable(old, True), _ownable(kept, True), stored.owners, me)
        return self._store(resource, stored, kept, subresource, owners, dry_run)

    def _store(
        self, resource: Resource, stored: Stored, new: Object, subresource: str, owners: Owners, dry_run: bool
    ) -> Object:
        old = stored.object
        new = _kept(resource, old, new, subresource)
        new = self._checked(resource, new, old)
        if resource.has_generation and _content(new) != _content(old):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        new = self._with_fields(resource, new, owners)
        if _timeless(new) == _timeless(old) or dry_run:
            return old if not dry_run else new
        key: Key = (old["metadata"].get("namespace", ""), old["metadata"]["name"])
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers") and resource != PODS:
            self.store.put(resource, key, new, owners)
            return self.store.remove(resource, key).object
        return self.store.put(resource, key, new, owners).object

    def _checked(self, resource: Resource, new: Object, old: Object | None) -> Object:
        for hook in self.hooks:
            new = hook(resource, new, old)
        faults = checks.metadata_faults(new)
        if resource.manifest is not None:
            if faults:
                raise invalid(_kind(resource), new["metadata"]["name"], faults)
            if old is None or _content(new) != _content(old):
                return self._admit(resource.manifest, new, old)
            # What did not change is not asked again (KEP-4008); that is everything but the status here.
            asked = {k: v for k, v in new.items() if k in ("apiVersion", "kind", "metadata", "status")}
            if resource not in self._status_alone:
                self._status_alone[resource] = _status_alone(resource)
            return {**new, **self._admit(self._status_alone[resource], asked, None)}
        made = old is None
        if made or _content(new) != _content(old):
            # A pod's spec is that of its Job's template, which was checked when the Job came.
            faults += [] if resource == PODS else checks.schema_faults(resource.api_version, resource.kind, new)
            if not faults and resource == JOBS:
                new = _job_defaults(new)
                faults += checks.job_faults(new, old)
        if faults:
            raise invalid(_kind(resource), new["metadata"]["name"], faults)
        return new

    def _owners(self, resource: Resource, before: Object, after: Object, owners: Owners, me: Manager) -> Owners:
        """Who owns what after a write that is no apply. Only custom resources are applied, so only theirs is kept."""
        if resource.manifest is None:
            return owners
        return ownership.update(before, after, resource.schema, owners, me, stamp(self.clock.now()))

    def _with_fields(self, resource: Resource, new: Object, owners: Owners) -> Object:
        fields = ownership.written(owners, resource.api_version)
        return {**new, "metadata": {**new["metadata"], "managedFields": fields}}

    def _orphan(self, uid: str) -> None:
        for resource, key, child in self.children(uid):
            freed = _copied(child.object)
            left = [owner for owner in freed["metadata"]["ownerReferences"] if owner["uid"] != uid]
            freed["metadata"]["ownerReferences"] = left
            self.store.put(resource, key, freed, child.owners)

    def children(self, uid: str) -> list[tuple[Resource, Key, Stored]]:
        """Everything that names ``uid`` as an owner."""
        with self.store.lock:
            return [
                (resource, (stored.object["metadata"].get("namespace", ""), stored.object["metadata"]["name"]), stored)
                for resource in self.store.resources()
                for stored in self.store.all(resource)
                if any(owner["uid"] == uid for owner in stored.object["metadata"].get("ownerReferences") or ())
            ]


def _identified(resource: Resource, namespace: str, body: Object) -> Object:
    new = _copied(body)
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


def _kept(resource: Resource, old: Object, new: Object, subresource: str) -> Object:
    """``new`` with what this kind of write cannot change taken from ``old``."""
    if subresource == "status":
        result = {**old, "metadata": dict(old["metadata"])}
        result.pop("status", None)
        return {**result, **({"status": new["status"]} if "status" in new else {})}
    metadata = {k: v for k, v in new["metadata"].items() if k not in _SERVERS}
    metadata.update({k: old["metadata"][k] for k in (*_SERVERS, "deletionGracePeriodSeconds") if k in old["metadata"]})
    result = {**new, "metadata": metadata}
    if resource.has_status:
        result.pop("status", None)
        if "status" in old:
            result["status"] = old["status"]
    return result


def _ownable(value: Object, status: bool = False) -> Object:
    """What managers own of an object."""
    metadata = value.get("metadata") or {}
    owned = {
        k: v for k, v in value.items() if k not in ("apiVersion", "kind", "metadata") and (status or k != "status")
    }
    named = {k: metadata[k] for k in ("labels", "annotations", "finalizers") if metadata.get(k)}
    return {**owned, **({"metadata": named} if named else {})}


def _status_alone(resource: Resource) -> Mapping[str, Any]:
    """A resource's definition as if it had nothing but a status."""
    manifest = _copied(dict(resource.manifest or {}))
    for version in manifest["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        properties = {name: child for name, child in schema["properties"].items() if name == "status"}
        version["schema"]["openAPIV3Schema"] = {"type": "object", "properties": properties}
    return manifest


def _copied(value: Object) -> Object:
    copied: Object = orjson.loads(orjson.dumps(value))
    return copied


def _content(value: Object) -> Object:
    return {k: v for k, v in value.items() if k not in ("metadata", "status")}


def _timeless(value: Object) -> Object:
    """What a write must change to be one: not the version, nor the times at which managers wrote."""
    metadata = {k: v for k, v in value["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    fields = [{k: v for k, v in entry.items() if k != "time"} for entry in value["metadata"].get("managedFields") or ()]
    return {**value, "metadata": {**metadata, "managedFields": fields}}


def _job_defaults(new: Object) -> Object:
    uid, name = new["metadata"]["uid"], new["metadata"]["name"]
    ours = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    spec = new["spec"]
    template = spec["template"]
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), **ours}
    defaults = {
        "parallelism": 1,
        "completions": 1,
        "completionMode": "NonIndexed",
        "backoffLimit": 6,
        "suspend": False,
        "podReplacementPolicy": "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
    }
    pod = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        **template["spec"],
    }
    pod = {"securityContext": {}, "schedulerName": "default-scheduler", **pod}
    template = {**template, "metadata": {**metadata, "labels": labels}, "spec": pod}
    return {**new, "spec": {**defaults, **spec, "template": template}}


def _plural(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def _kind(resource: Resource) -> str:
    return f"{resource.kind}.{resource.group}" if resource.group else resource.kind


def _another(resource: Resource, uid: str, old: Object) -> Refusal:
    why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
    return conflict(_plural(resource), old["metadata"]["name"], why)


def _said(path: ownership.Path) -> str:
    return "".join(f".{e[2:]}" if e.startswith("f:") else f"[{e[2:]}]" if e != "." else "" for e in path)
