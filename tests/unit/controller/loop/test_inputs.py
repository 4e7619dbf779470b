"""What is found wrong with a run's inputs, while nothing is written anywhere."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from serin.clients.kubernetes import Cluster
from serin.clients.storage import Storage
from serin.clients.storage.faults import ForbiddenError, NoBucketError
from serin.controller.loop.inputs import Wanted, faults_of
from serin.core.errors import StorageError
from serin.core.resources.finetune import Run

from ....cluster.direct import DirectTransport
from ....cluster.kubelet.deposit import deposit
from ....cluster.memory import MemoryStorage
from ....cluster.standin import StandIn

HUB = {"source": "tiny/base", "revision": "a" * 40}
FOLDER = {"source": "base", "folder": "models/base", "revision": None}


class ReadOnly(MemoryStorage):
    """Takes no writes once it is closed; ``error`` is what every read meets."""

    error: StorageError | None = None
    closed = False

    def write(self, key: str, data: bytes) -> None:
        assert not self.closed, f"{key} is written"
        super().write(key, data)

    def list(self, prefix: str) -> list[str]:
        if self.error is not None:
            raise self.error
        return super().list(prefix)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with StandIn(auto=False, served=False) as api:
        api.queue("gpus")
        yield Cluster(cast(Any, DirectTransport(api)), api.namespace)


@pytest.fixture
def storage() -> ReadOnly:
    return ReadOnly()


def put(storage: MemoryStorage, **files: bytes) -> str:
    return deposit(cast(Storage, storage), {f"{name}.json": data for name, data in files.items()})


def faults(storage: ReadOnly, cluster: Cluster, queue: str | None = None, **inputs: str) -> list[tuple[str, str]]:
    """Reasons and messages; what is not given is there."""
    given = {"base": put(storage, base=json.dumps(HUB).encode()), "dataset": put(storage, train=b"{}"), **inputs}
    run = Run.model_validate(
        {
            "inputs": given,
            "params": {"storage": {"url": "s3://serin/p"}},
            "placement": {"image": "serin:1", "queue": queue},
        }
    )
    storage.closed = True
    found = faults_of(Wanted.of(run), cluster, cast(Storage, storage))
    return [(each.reason, each.message) for each in found]


def test_what_is_there_has_no_fault(storage: ReadOnly, cluster: Cluster) -> None:
    assert faults(storage, cluster, queue="gpus") == []


def test_a_file_of_a_folder_that_is_missing_is_named(storage: ReadOnly, cluster: Cluster) -> None:
    dataset = put(storage, train=b"1", test=b"2")
    lost = next(key for key in storage.list("dvc") if storage.read(key) == b"2")
    storage.delete([lost])
    ((reason, message),) = faults(storage, cluster, dataset=dataset)
    assert reason == "DatasetMissing"
    assert lost in message
    assert "1 of its files" in message


def test_a_base_that_is_no_record_is_no_base(storage: ReadOnly, cluster: Cluster) -> None:
    ((reason, message),) = faults(storage, cluster, base=put(storage, other=b"{}"))
    assert reason == "BaseMissing"
    assert "base.json" in message


def test_a_base_in_somebodys_folder_needs_the_folder(storage: ReadOnly, cluster: Cluster) -> None:
    base = put(storage, base=json.dumps(FOLDER).encode())
    ((reason, message),) = faults(storage, cluster, base=base)
    assert reason == "BaseMissing"
    assert "models/base" in message
    storage.closed = False
    model = put(storage, config=b"{}")
    storage.closed = False
    assert faults(storage, cluster, base=base, model=model) == []


def test_every_fault_is_told_at_once(storage: ReadOnly, cluster: Cluster) -> None:
    nowhere = "0" * 32 + ".dir"
    found = faults(storage, cluster, queue="nowhere", base=nowhere, dataset=nowhere)
    assert [reason for reason, _ in found] == ["QueueMissing", "BaseMissing", "DatasetMissing"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ForbiddenError("403 AccessDenied"), "StorageForbidden"), (NoBucketError("there is no bucket"), "BucketMissing")],
)
def test_a_storage_that_lets_nobody_in_is_a_fault(
    storage: ReadOnly, cluster: Cluster, error: StorageError, reason: str
) -> None:
    storage.error = error
    ((found, message),) = faults(storage, cluster)
    assert found == reason
    assert str(error) in message


def test_a_storage_that_does_not_answer_says_nothing_of_the_inputs(storage: ReadOnly, cluster: Cluster) -> None:
    storage.error = StorageError("timed out")
    with pytest.raises(StorageError, match="timed out"):
        faults(storage, cluster)
