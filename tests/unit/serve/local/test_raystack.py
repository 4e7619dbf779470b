"""What gateways are told of a revision while Serve starts, scales and replaces its replicas."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serin.clients.serving_state import FolderState, RevisionStatus
from serin.core.params import ServeParams
from serin.core.revision import Revision
from serin.serve.local.applications import read_details
from serin.serve.local.raystack import RayStack
from serin.serve.local.settings import RunSettings

REVISION = "law@" + "3f9a1c20" * 8


@pytest.mark.parametrize(
    ("running", "told"),
    [(1, RevisionStatus("ready")), (0, RevisionStatus("starting", "restarting after a crash"))],
    ids=["another replica answers", "nobody answers"],
)
@pytest.mark.parametrize("seen", ["DEPLOYING", "UNHEALTHY"])
def test_a_revision_is_asked_as_long_as_one_replica_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: str, running: int, told: RevisionStatus
) -> None:
    def deployment(count: int) -> dict[str, Any]:
        return {"message": "", "replicas": [{"state": "STARTING"}, *count * [{"state": "RUNNING"}]]}

    deployments = {"LLMServer": deployment(running), "LLMRouter": deployment(1)}
    application = {"status": seen, "message": "", "deployments": deployments}
    details = {"applications": {Revision.parse(REVISION).label: application}}
    monkeypatch.setattr("serin.serve.local.raystack.applications", lambda: read_details(details))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(serve=SimpleNamespace()))
    settings = RunSettings(ServeParams().model_dump(), str(tmp_path), str(tmp_path), "marker", "secret", 1, 2, 3)
    stack = RayStack(settings, FolderState(tmp_path))
    stack.status = {REVISION: RevisionStatus("ready")}
    stack.begun = {REVISION: 0.0}
    stack.observe(1.0)
    assert stack.status == {REVISION: told}
