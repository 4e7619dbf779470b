"""One namespace of a cluster: read, watch and write objects as plain JSON."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from serin.clients.kubernetes.faults import AbsentError, ExpiredError, refusal
from serin.clients.kubernetes.kinds import PODS, Kind
from serin.clients.kubernetes.transport import Request, Transport

Object = dict[str, Any]
"""As the API server's JSON has it."""

_PAGE = 100
_WATCH_S = 240.0
SLACK_S = 2.0
"""How much longer than it was asked for a watch may last before it is taken for hung."""
_SILENCE_S = 3600.0
"""The longest that a container may print nothing before its log is taken for broken."""
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML."""


class Cluster:
    """The objects of one namespace. Every method raises the errors of ``faults``; none tries anything twice."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self.transport = transport
        self.namespace = namespace

    def get(self, kind: Kind, name: str, timeout_s: float | None = None) -> Object | None:
        """An object; None where there is none of this name. Raises AbsentError where the cluster does not know the kind."""
        try:
            return self._ask("GET", "get", kind, name, timeout_s=timeout_s)
        except AbsentError as error:
            # An API that is not served answers 404 too; only an object's own answer names it.
            if f'"{name}"' in str(error):
                return None
            raise

    def pages(self, kind: Kind, labels: Mapping[str, str] = {}) -> Iterator[tuple[list[Object], str]]:
        """All objects with these labels, some at a time, and the resourceVersion that all of them show.

        Raises:
            ExpiredError: it took so long that the rest is gone; begin again.
        """
        query = {"limit": str(_PAGE)} | _selected(labels)
        while True:
            page = self._ask("GET", "list", kind, query=query)
            metadata = page.get("metadata", {})
            # Items of a list lack what every item has.
            items = [{"apiVersion": kind.api_version, "kind": kind.kind} | item for item in page.get("items") or []]
            yield items, str(metadata.get("resourceVersion", ""))
            if not metadata.get("continue"):
                return
            query["continue"] = str(metadata["continue"])

    def list(self, kind: Kind, labels: Mapping[str, str] = {}) -> tuple[list[Object], str]:
        """All objects with these labels, and the resourceVersion to watch from."""
        while True:
            found: list[Object] = []
            version = ""
            try:
                for items, version in self.pages(kind, labels):  # noqa: B007 - all pages show one version
                    found += items
            except ExpiredError:
                continue
            return found, version

    def watch(
        self,
        kind: Kind,
        resource_version: str,
        labels: Mapping[str, str] = {},
        timeout_s: float = _WATCH_S,
        name: str | None = None,
    ) -> Iterator[tuple[str, Object]]:
        """What happens after ``resource_version``: ADDED, MODIFIED, DELETED with the object; BOOKMARK with a version alone.

        It ends without an error after ``timeout_s`` at the latest; go on from the last version that was seen.

        Raises:
            ExpiredError: the server no longer keeps what happened since then; list again.
            UnavailableError: the connection broke; go on from the last version that was seen.
        """
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(timeout_s))),
            "allowWatchBookmarks": "true",
        } | _selected(labels)
        if name is not None:
            query["fieldSelector"] = f"metadata.name={name}"
        request = Request("GET", kind.path(self.namespace), "watch", kind.plural, query=query)
        with self.transport.stream(request, timeout_s + SLACK_S) as pieces:
            for line in _lines(pieces):
                event = json.loads(line)
                found: Object = event["object"]
                if event["type"] == "ERROR":
                    raise refusal(
                        f"watch {kind.plural}", False, int(found.get("code") or 500), json.dumps(found).encode(), {}
                    )
                yield event["type"], found

    def create(self, kind: Kind, body: Mapping[str, Any], dry_run: bool = False, strict: bool = False) -> Object:
        """A new object, as the server completed it.

        Args:
            kind: which.
            body: the object.
            dry_run: only have it checked.
            strict: refuse a field that the server does not know, which it drops without a word otherwise: a rule of a newer
                version would be gone.

        Raises:
            ExistsError: one of its name is there.
            InvalidError: the server does not take it.
        """
        name = body["metadata"].get("name", "")
        query = _dry(dry_run) | ({"fieldValidation": "Strict"} if strict else {})
        return self._ask("POST", "create", kind, query=query, body=body, shown=name)

    def patch(self, kind: Kind, name: str, body: Mapping[str, Any]) -> Object:
        """Change some fields (JSON merge patch, RFC 7386); null removes one."""
        return self._ask("PATCH", "patch", kind, name, body=body, content_type=_MERGE)

    def apply_status(
        self, kind: Kind, name: str, body: Mapping[str, Any], manager: str, timeout_s: float | None = None
    ) -> Object:
        """Make the fields of status that ``manager`` owns be those of ``body``: what it no longer names goes.

        Args:
            kind: which.
            name: which one.
            body: ``status``, and with ``metadata.uid`` only of that very object.
            manager: whose fields they are; others' values are taken over.
            timeout_s: instead of the transport's.
        """
        whole = {"apiVersion": kind.api_version, "kind": kind.kind} | dict(body)
        whole["metadata"] = {"name": name, "namespace": self.namespace} | dict(body.get("metadata", {}))
        query = {"fieldManager": manager, "force": "true"}
        return self._ask("PATCH", "apply", kind, name, "status", query, whole, _APPLY, timeout_s)

    def replace(self, kind: Kind, name: str, body: Mapping[str, Any], timeout_s: float | None = None) -> Object:
        """Put an object in the place of the one that has its ``metadata.resourceVersion``. Raises ConflictError."""
        return self._ask("PUT", "update", kind, name, body=body, timeout_s=timeout_s)

    def delete(self, kind: Kind, name: str, uid: str | None = None) -> bool:
        """Remove an object, and what it owns in the background; False where it is not there, or has another uid."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            self._ask("DELETE", "delete", kind, name, body=options)
        except AbsentError:
            return False
        return True

    def pod_log(self, pod: str, container: str, follow: bool = False) -> Iterator[bytes]:
        """What a container printed, in pieces as they come; with ``follow`` until it ends.

        Raises:
            AbsentError: the pod is not there.
            InvalidError: its container has not started yet.
        """
        query = {"container": container} | ({"follow": "true"} if follow else {})
        request = Request("GET", PODS.path(self.namespace, pod, "log"), "get", "pods/log", pod, query)
        with self.transport.stream(request, _SILENCE_S if follow else self.transport.timeout_s) as pieces:
            yield from pieces

    def _ask(
        self,
        method: str,
        verb: str,
        kind: Kind,
        name: str = "",
        subresource: str = "",
        query: Mapping[str, str] = {},
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        timeout_s: float | None = None,
        shown: str = "",
    ) -> Object:
        plural = f"{kind.plural}/{subresource}" if subresource else kind.plural
        path = kind.path(self.namespace, name, subresource)
        request = Request(method, path, verb, plural, name or shown, query, body, content_type)
        answer: Object = self.transport.ask(request, timeout_s)
        return answer


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _selected(labels: Mapping[str, str]) -> dict[str, str]:
    return {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())} if labels else {}


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines, wherever the pieces were cut; one that the end cuts off is dropped."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line for line in whole if line.strip())
