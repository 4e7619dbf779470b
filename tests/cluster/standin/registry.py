"""What requests do to objects: creating, replacing, patching, applying and deleting, each with the server's own rules."""

import itertools
import uuid
from collections.abc import Callable
from typing import Any

from ..clock import Clock, stamp
from . import deletion, ownership, patches
from .judgement import Admit, Judgement, Mutate
from .objects import SERVERS, Object, content, copied, identified, kept, kind_of, ownable, plural_of, timeless
from .ownership import Conflicts, Manager, Owners
from .refusals import Refusal, already_exists, bad_request, conflict, invalid, not_found, stale
from .resources import JOBS, NAMESPACES, PODS, Resource
from .store import Key, Store, Stored


class Registry:
    """Objects with the rules of their kinds. ``hooks`` see every object that is about to be stored, as webhooks do."""

    def __init__(self, store: Store, clock: Clock, admit: Admit) -> None:
        self.store = store
        self.clock = clock
        self._judgement = Judgement(admit)
        self.hooks: list[Mutate] = self._judgement.hooks
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
            raise not_found(plural_of(resource), name)
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
            new = identified(resource, namespace, body)
            metadata = new["metadata"]
            if not metadata.get("name") and (prefix := metadata.get("generateName")):
                metadata["name"] = f"{prefix[:58]}{next(self._suffixes):05x}"
            if not metadata.get("name"):
                raise invalid(
                    kind_of(resource), "", ["metadata.name: Required value: name or generateName is required"]
                )
            if resource.namespaced:
                self._require_open(namespace, plural_of(resource), metadata["name"])
            key = (namespace, metadata["name"])
            if self.store.get(resource, key) is not None:
                raise already_exists(plural_of(resource), metadata["name"])
            for name in SERVERS:
                metadata.pop(name, None)
            metadata["uid"] = str(uuid.uuid4())
            metadata["creationTimestamp"] = stamp(self.clock.now())
            if resource.has_generation:
                metadata["generation"] = 1
            if resource.has_status:
                new.pop("status", None)
            if resource == NAMESPACES:
                new |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
            new = self._judgement.checked(resource, new, None)
            owners = self._owners(resource, {}, ownable(new), {}, Manager(manager, "Update"))
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
            new = identified(resource, namespace, body)
            if new["metadata"].get("name") != name:
                raise bad_request(
                    f"the name of the object ({new['metadata'].get('name')}) does not match the name on the URL ({name})"
                )
            if resource.manifest is not None and not new["metadata"].get("resourceVersion"):
                fault = 'metadata.resourceVersion: Invalid value: "": must be specified for an update'
                raise invalid(kind_of(resource), name, [fault])
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
            new = change(copied(stored.object))
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
                    raise not_found(plural_of(resource), name)
                return self.create(resource, namespace, wanted, manager, dry_run)
            expected = (wanted.get("metadata") or {}).get("resourceVersion")
            if expected and expected != stored.object["metadata"]["resourceVersion"]:
                raise stale(plural_of(resource), name)
            if (wanted.get("metadata") or {}).get("uid") not in (None, stored.object["metadata"]["uid"]):
                raise _another(resource, wanted["metadata"]["uid"], stored.object)
            fields = {"status": wanted["status"]} if subresource and "status" in wanted else {}
            if not subresource:
                fields = ownable(wanted)
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
            return self._store(resource, stored, copied(new), subresource, owners, dry_run)

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
                    raise conflict(plural_of(resource), name, why)
            if dry_run:
                return stored.object, True
            # batch/v1 leaves a Job's pods behind unless it is told otherwise, "for back compatibility" (registry/batch/job).
            propagation = propagation or ("Orphan" if resource == JOBS else "Background")
            if propagation == "Orphan":
                self._orphan(metadata["uid"])
            marked = deletion.marked(resource, stored.object, propagation, grace_s, self.clock.now())
            if marked is None:
                return self.store.remove(resource, (namespace, name)).object, True
            if marked is stored.object:
                return marked, False
            return self.store.put(resource, (namespace, name), marked, stored.owners).object, False

    def bind(self, namespace: str, name: str, node: str) -> None:
        """Put a pod on a node, once (registry/core/pod)."""
        with self.store.lock:
            old = self.require(PODS, namespace, name)
            if bound := old.object["spec"].get("nodeName"):
                raise conflict("pods/binding", name, f"pod {name} is already assigned to node {bound!r}")
            if old.object["metadata"].get("deletionTimestamp"):
                raise conflict("pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
            new = copied(old.object)
            new["spec"]["nodeName"] = node
            scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(self.clock.now())}
            new = patches.strategic(new, {"status": {"conditions": [{**scheduled, "reason": None, "message": None}]}})
            self.store.put(PODS, (namespace, name), new, old.owners)

    # ---- how a version becomes the next ----------------------------------------------------------------------------------
    def _update(
        self, resource: Resource, stored: Stored, new: Object, subresource: str, manager: str, dry_run: bool
    ) -> Object:
        old = stored.object
        expected = new["metadata"].get("resourceVersion")
        if expected and expected != old["metadata"]["resourceVersion"]:
            raise stale(plural_of(resource), old["metadata"]["name"])
        if new["metadata"].get("uid") not in (None, old["metadata"]["uid"]):
            raise _another(resource, new["metadata"]["uid"], old)
        me = Manager(manager, "Update", subresource)
        new = kept(resource, old, new, subresource)
        owners = self._owners(resource, ownable(old, True), ownable(new, True), stored.owners, me)
        return self._store(resource, stored, new, subresource, owners, dry_run)

    def _store(
        self, resource: Resource, stored: Stored, new: Object, subresource: str, owners: Owners, dry_run: bool
    ) -> Object:
        old = stored.object
        new = kept(resource, old, new, subresource)
        new = self._judgement.checked(resource, new, old)
        if resource.has_generation and content(new) != content(old):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        new = self._with_fields(resource, new, owners)
        if timeless(new) == timeless(old) or dry_run:
            return old if not dry_run else new
        key: Key = (old["metadata"].get("namespace", ""), old["metadata"]["name"])
        if deletion.is_over(new):
            self.store.put(resource, key, new, owners)
            return self.store.remove(resource, key).object
        return self.store.put(resource, key, new, owners).object

    def _owners(self, resource: Resource, before: Object, after: Object, owners: Owners, me: Manager) -> Owners:
        """Who owns what after a write that is no apply. Only custom resources are applied, so only theirs is kept."""
        if resource.manifest is None:
            return owners
        return ownership.update(before, after, resource.schema, owners, me, stamp(self.clock.now()))

    def _with_fields(self, resource: Resource, new: Object, owners: Owners) -> Object:
        fields = ownership.written(owners, resource.api_version)
        return {**new, "metadata": {**new["metadata"], "managedFields": fields}}

    def _require_open(self, namespace: str, plural: str, name: str) -> None:
        """Raises Refusal where nothing may be created in a namespace: it is not there, or on its way out."""
        found = self.find(NAMESPACES, "", namespace)
        if found is None:
            raise not_found("namespaces", namespace)
        if found["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise Refusal(403, "Forbidden", f'{plural} "{name}" is forbidden: {why}')

    def _orphan(self, uid: str) -> None:
        for resource, key, child in self.children(uid):
            freed = copied(child.object)
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


def _another(resource: Resource, uid: str, old: Object) -> Refusal:
    why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
    return conflict(plural_of(resource), old["metadata"]["name"], why)


def _said(path: ownership.Path) -> str:
    return "".join(f".{e[2:]}" if e.startswith("f:") else f"[{e[2:]}]" if e != "." else "" for e in path)
