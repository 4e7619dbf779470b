"""What may be stored: webhooks first, then the rules of the kind, each asked of what changed alone."""

from collections.abc import Callable, Mapping
from typing import Any

from . import checks
from .defaults import job_defaults
from .objects import Object, content, copied, kind_of
from .refusals import invalid
from .resources import JOBS, PODS, Resource

Mutate = Callable[[Resource, Object, Object | None], Object]
"""A mutating webhook: the new object, and the old one where there is one."""
Admit = Callable[[Mapping[str, Any], Object, Object | None], Object]
"""Asks the schema of a custom resource: its definition, the new object and the old one."""


class Judgement:
    """``hooks`` see every object that is about to be stored, as webhooks do."""

    def __init__(self, admit: Admit) -> None:
        self.hooks: list[Mutate] = []
        self._admit = admit
        self._status_alone: dict[Resource, Mapping[str, Any]] = {}

    def checked(self, resource: Resource, new: Object, old: Object | None) -> Object:
        """As it would be stored. Raises Refusal with every fault."""
        for hook in self.hooks:
            new = hook(resource, new, old)
        faults = checks.metadata_faults(new)
        if resource.manifest is not None:
            if faults:
                raise invalid(kind_of(resource), new["metadata"]["name"], faults)
            if old is None or content(new) != content(old):
                return self._admit(resource.manifest, new, old)
            # What did not change is not asked again (KEP-4008); that is everything but the status here.
            asked = {k: v for k, v in new.items() if k in ("apiVersion", "kind", "metadata", "status")}
            if resource not in self._status_alone:
                self._status_alone[resource] = _status_alone(resource)
            return {**new, **self._admit(self._status_alone[resource], asked, None)}
        made = old is None
        if made or content(new) != content(old):
            # A pod's spec is that of its Job's template, which was checked when the Job came.
            faults += [] if resource == PODS else checks.schema_faults(resource.api_version, resource.kind, new)
            if not faults and resource == JOBS:
                new = job_defaults(new)
                faults += checks.job_faults(new, old)
        if faults:
            raise invalid(kind_of(resource), new["metadata"]["name"], faults)
        return new


def _status_alone(resource: Resource) -> Mapping[str, Any]:
    """A resource's definition as if it had nothing but a status."""
    manifest = copied(dict(resource.manifest or {}))
    for version in manifest["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        properties = {name: child for name, child in schema["properties"].items() if name == "status"}
        version["schema"]["openAPIV3Schema"] = {"type": "object", "properties": properties}
    return manifest
