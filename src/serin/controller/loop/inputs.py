"""Whether a run's inputs are there: looked at before a GPU is taken, and only read.

Whether the run may write is its own to find out, and the first thing that it does (``serin.task``): it has another identity than
the controller, which therefore needs no right to write into anybody's storage.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from serin.clients.dvc_remote import DvcRemote, key_of
from serin.clients.kubernetes import AbsentError, Cluster
from serin.clients.kubernetes.kinds import LOCAL_QUEUES
from serin.clients.storage import Storage
from serin.clients.storage.faults import ForbiddenError, NoBucketError
from serin.controller.observed import Fault
from serin.core.resources.finetune import Run
from serin.core.task import Stage

_REASONS = {
    "base": "BaseMissing",
    "model": "BaseMissing",
    "dataset": "DatasetMissing",
    "adapter": "AdapterMissing",
    "merged": "MergedMissing",
    "evaluation": "EvaluationMissing",
}
_RECORD = "base.json"
_REBUILT = "model/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be there for a run."""

    first: Stage
    """The stage that it begins with."""
    inputs: tuple[tuple[str, str], ...]
    """Words and DVC hashes."""
    queue: str | None
    """Kueue's LocalQueue."""

    @classmethod
    def of(cls, run: Run) -> Self:
        """What a run wants."""
        inputs = run.inputs.model_dump(exclude_none=True)
        return cls(run.stages[0], tuple(inputs.items()), run.placement.queue)


def faults_of(wanted: Wanted, cluster: Cluster, storage: Storage) -> list[Fault]:
    """Everything that would make the run fail later.

    Args:
        wanted: by the run.
        cluster: where its queue has to be.
        storage: where its inputs have to be.

    Raises:
        StorageError: storage does not answer, so nothing is known.
        UnavailableError: the API server does not.
    """
    found = [*_queue(wanted.queue, cluster)]
    try:
        for word, content in wanted.inputs:
            found += _input(word, content, DvcRemote(storage))
        if not found:
            found += _base(dict(wanted.inputs), storage)
    except NoBucketError as error:
        found.append(Fault("BucketMissing", str(error)))
    except ForbiddenError as error:
        found.append(Fault("StorageForbidden", f"{error}; the controller's own ServiceAccount has to read there"))
    return found


def _queue(queue: str | None, cluster: Cluster) -> Iterator[Fault]:
    if queue is None:
        return
    try:
        there = cluster.get(LOCAL_QUEUES, queue) is not None
    except AbsentError:
        yield Fault(
            "QueueMissing",
            f"spec.run.placement.queue = {queue}: this cluster has no Kueue; install it, or leave the queue out",
        )
        return
    if not there:
        yield Fault(
            "QueueMissing",
            f"spec.run.placement.queue = {queue}: there is no such LocalQueue in the namespace {cluster.namespace}; "
            "'kubectl get localqueues' lists them",
        )


def _input(word: str, content: str, remote: DvcRemote) -> Iterator[Fault]:
    lost = remote.missing(content)
    if not lost:
        return
    where = remote.storage.uri(key_of(lost[0]))
    part = "" if lost == [content] else f" ({len(lost)} of its files)"
    yield Fault(
        _REASONS[word],
        f"spec.run.inputs.{word} = {content}: {where}{part} is not in storage; 'serin job submit' or 'dvc push' brings it there",
    )


def _base(inputs: dict[str, str], storage: Storage) -> Iterator[Fault]:
    """The record of the base model has to be one, and to be enough: a folder of someone's machine has to come along."""
    content = inputs["base"]
    where = f"spec.run.inputs.base = {content}"
    try:
        files = {str(each["relpath"]): str(each["md5"]) for each in json.loads(storage.read(key_of(content)))}
        record = json.loads(storage.read(key_of(files[_RECORD])))
        of_hub = record["revision"] is not None
    except (ValueError, KeyError, TypeError):
        yield Fault(
            "BaseMissing", f"{where}: is no output of the stage base, with a {_RECORD} in it; give the hash of dvc.lock"
        )
        return
    if not of_hub and "model" not in inputs and not any(file.startswith(_REBUILT) for file in files):
        yield Fault(
            "BaseMissing",
            f"{where}: the base model is the folder {record.get('folder')}, and spec.run.inputs.model is not given; "
            "'serin job submit' puts the folder into storage and fills it in",
        )
