"""Events (events.k8s.io/v1) about Serin's objects: one for each thing that happened, with a count where it came again."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from serin.clients.kubernetes.cluster import Cluster
from serin.clients.kubernetes.faults import AbsentError, ExistsError
from serin.clients.kubernetes.kinds import EVENTS
from serin.core.digest import digest_of
from serin.core.errors import SerinError

_LOG = logging.getLogger(__name__)
_NOTE_LENGTH = 1024
"""Kubernetes takes no longer ones."""
CONTROLLER = "serin.dev/controller"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for ``kubectl describe``."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Events:
    """Writes them. One that cannot be written is dropped: it is news for people, and status has what counts.

    Args:
        cluster: where.
        identity: this process.
    """

    def __init__(self, cluster: Cluster, identity: str) -> None:
        self._cluster = cluster
        self._identity = identity

    def tell(self, regarding: Mapping[str, Any], event: Event, now: datetime) -> None:
        """Say it once about an object; the same again only raises its count."""
        metadata = regarding["metadata"]
        time = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        # The same words about the same object have the same name, whichever process says them.
        name = f"{metadata['name']}.{digest_of([metadata['uid'], event.type, event.reason, event.message])[:16]}"
        body = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": name, "namespace": self._cluster.namespace},
            "eventTime": time,
            "reportingController": CONTROLLER,
            "reportingInstance": self._identity[:128],
            "action": "Reconcile",
            "type": event.type,
            "reason": event.reason,
            "note": event.message[:_NOTE_LENGTH],
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "name": metadata["name"],
                "namespace": self._cluster.namespace,
                "uid": metadata["uid"],
            },
        }
        try:
            try:
                self._cluster.create(EVENTS, body)
            except ExistsError:
                self._again(name, time)
        except SerinError as error:
            _LOG.info("an event is not written", extra={"object": metadata["name"], "error": str(error)})

    def _again(self, name: str, time: str) -> None:
        found = self._cluster.get(EVENTS, name)
        if found is None:
            return
        count = int((found.get("series") or {}).get("count") or 1)
        try:
            self._cluster.patch(EVENTS, name, {"series": {"count": count + 1, "lastObservedTime": time}})
        except AbsentError:
            return  # an hour is over, and the API server removed it
