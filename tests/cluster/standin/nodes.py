"""The kubelet's words, straight to the registry of the stand-in that it works in."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import patches
from .objects import Object
from .refusals import Refusal
from .registry import Registry
from .resources import PODS


class OwnNode:
    """``kubelet.Node`` within the stand-in's process. It sees the pods of every namespace."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def pods(self) -> Sequence[Object]:
        """Every pod."""
        return [stored.object for stored in self._registry.store.all(PODS)]

    def find(self, pod: Object) -> Object | None:
        """A pod as it is now."""
        found = self._registry.find(PODS, *_key(pod))
        return found if found is not None and found["metadata"]["uid"] == pod["metadata"]["uid"] else None

    def bind(self, pod: Object) -> None:
        """As the scheduler does."""
        if self.find(pod) is not None:
            self._registry.bind(*_key(pod), "node-1")

    def report(self, pod: Object, status: Mapping[str, Any]) -> None:
        """Change its status."""
        change = {"status": dict(status)}
        try:
            self._registry.patch(
                PODS, *_key(pod), lambda old: patches.strategic(old, change), "status", manager="kubelet"
            )
        except Refusal as refusal:
            if refusal.code != 404:
                raise

    def delete(self, pod: Object) -> None:
        """With its grace period."""
        self._registry.delete(PODS, *_key(pod), uid=pod["metadata"]["uid"])

    def confirm(self, pod: Object) -> None:
        """It has ended."""
        if self.find(pod) is not None:
            self._registry.delete(PODS, *_key(pod), uid=pod["metadata"]["uid"], grace_s=0)


def _key(of: Mapping[str, Any]) -> tuple[str, str]:
    return of["metadata"]["namespace"], of["metadata"]["name"]
