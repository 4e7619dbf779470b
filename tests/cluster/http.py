"""Raw requests to a stand-in: what its own tests ask, without any client's opinion of the answers."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from .standin import StandIn

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


def ask(
    standin: StandIn,
    method: str,
    path: str,
    body: Any = None,
    content_type: str = "application/json",
    token: str = "admin",
) -> tuple[int, Any]:
    """The code and the JSON of an answer; of a stream, its lines."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(standin.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, _parsed(answer.read(), path)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _parsed(error.read(), path)


def _parsed(data: bytes, path: str) -> Any:
    lines = [json.loads(line) for line in data.splitlines()]
    return lines if "watch=" in path else lines[0]


def pod_template(**container: Any) -> Mapping[str, Any]:
    """A template that Pod Security's ``restricted`` allows."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    containers = [{"name": "run", "image": "serin", "securityContext": security, **container}]
    return {"spec": {"restartPolicy": "Never", "securityContext": pod, "containers": containers}}


def job(name: str, **spec: Any) -> dict[str, Any]:
    """A Job of one pod."""
    body = {"template": pod_template(), **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}
