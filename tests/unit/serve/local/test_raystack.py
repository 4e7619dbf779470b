"""What gateways are told of a revision while Serve starts, scales and replaces its replicas."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serin.clients.serving_state import FolderState, RevisionStatus
from serin.core.params import ServeParams
from serin.core.revision import Revision
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
    def deployment(count: int) -> Any:
        return SimpleNamespace(message="", replica_states={"RUNNING": count, "STARTING": 1})

    deployments = {"LLMServer": deployment(running), "LLMRouter": deployment(1)}
    application = SimpleNamespace(status=SimpleNamespace(value=seen), message="", deployments=deployments)
    applications = {Revision.parse(REVISION).label: application}
    serve = SimpleNamespace(status=lambda: SimpleNamespace(applications=applications))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(serve=serve))
    settings = RunSettings(ServeParams().model_dump(), str(tmp_path), str(tmp_path), "marker", "secret", 1, 2, 3)
    stack = RayStack(settings, FolderState(tmp_path))
    stack.status = {REVISION: RevisionStatus("ready")}
    stack.begun = {REVISION: 0.0}
    stack.observe(1.0)
    assert stack.status == {REVISION: told}
