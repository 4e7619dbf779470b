"""Requests with an administrator's rights, at any path of the API."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from serin.clients.kubernetes import AbsentError, Cluster, ConflictError, UnavailableError
from serin.clients.kubernetes.transport import Request

Object = dict[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
_PATIENCE_S = 60.0
_PAUSE_S = 0.5


class Admin:
    """A request that finds no answer is made again for a while: a test is not about the tests' own connection."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def get(self, path: str) -> Object | None:
        """An object, a list, or what the API says of itself; None where it is not there."""
        try:
            return self._ask("GET", path)
        except AbsentError:
            return None

    def create(self, path: str, body: Mapping[str, Any]) -> Object:
        """A new object under the path of its kind, or what a subresource makes. Raises ExistsError, InvalidError."""
        return self._ask("POST", path, body)

    def report(self, path: str, body: Mapping[str, Any]) -> bool:
        """A strategic merge patch; whether the object was there, and the one that ``metadata.uid`` names."""
        try:
            self._ask("PATCH", path, body, STRATEGIC)
        except (AbsentError, ConflictError):
            return False
        return True

    def delete(self, path: str, uid: str | None = None, grace_s: int | None = None) -> bool:
        """An object, or all of a kind, and in the background what they own; whether there was such a one."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            self._ask("DELETE", path, options)
        except (AbsentError, ConflictError):
            return False
        return True

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        request = Request(
            method, path, "create" if method == "POST" else method.lower(), path, body=body, content_type=content_type
        )
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer: Object = self.cluster.transport.ask(request)
            except UnavailableError:
                if time.monotonic() > end:
                    raise
                time.sleep(_PAUSE_S)
            else:
                return answer


def wait(holds: Callable[[], object], within_s: float, pause_s: float = 0.1) -> bool:
    """Whether something comes to hold in time."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(pause_s)
    return True
