"""A cluster without a controller: tests write the status that one would."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serin.clients.kubernetes import Cluster, open_cluster
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.clients.storage import FolderStorage
from serin.job.follow import Pace

from ...cluster.standin import StandIn


class Project:
    """What a user and a controller do to a cluster."""

    def __init__(self, standin: StandIn, storage: FolderStorage) -> None:
        self.standin = standin
        self.storage = storage
        self.cluster: Cluster = open_cluster(None, None, {"KUBECONFIG": str(standin.kubeconfig)})
        self.told: list[str] = []
        self.waits: list[Any] = []

    def finetune(self, name: str = "law", **placement: Any) -> dict[str, Any]:
        """As a user writes it."""
        run = {
            "stages": ["train"],
            "inputs": {word: f"{digit * 32}.dir" for word, digit in (("base", "a"), ("dataset", "b"))},
            "params": {"storage": {"url": "s3://serin/law"}},
            "placement": {"image": "i:1", **placement},
        }
        body = {"apiVersion": FINE_TUNES.api_version, "kind": FINE_TUNES.kind}
        return body | {"metadata": {"name": name}, "spec": {"suspend": False, "run": run}}

    def submit(self, name: str = "law") -> dict[str, Any]:
        """Create one."""
        return self.cluster.create(FINE_TUNES, self.finetune(name))

    def report(self, name: str = "law", **status: Any) -> dict[str, Any]:
        """Write a status as a controller does; the object after it."""
        return self.cluster.apply_status(FINE_TUNES, name, {"status": status}, "a test")

    def pace(self, *meanwhile: Any) -> Pace:
        """Time that passes only when somebody waits; each wait lets one thing happen, and there is no wait after the last."""
        happenings = iter(meanwhile)

        def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            next(happenings)()

        return Pace(2.0, sleep, lambda: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=sum(self.waits)))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A cluster that works only when it is told to, and a folder for storage."""
    monkeypatch.setenv("NO_PROXY", ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])))
    storage = FolderStorage(tmp_path / "storage")
    with StandIn(auto=False, storage_of=lambda _: storage) as standin:
        yield Project(standin, storage)
