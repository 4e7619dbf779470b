"""Whether a run's inputs are there and its outputs can be written: looked at before a GPU is taken."""

import json
from collections.abc import Iterator

from serin.clients.dvc_remote import DvcRemote, key_of
from serin.clients.kubernetes import AbsentError, Cluster
from serin.clients.kubernetes.kinds import LOCAL_QUEUES
from serin.clients.storage import Storage
from serin.clients.storage.faults import ForbiddenError, NoBucketError
from serin.controller.observed import Fault
from serin.core.resources.finetune import Run
from serin.core.task import STAGES, prefix_of

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


def faults_of(run: Run, cluster: Cluster, storage: Storage, name: str, uid: str) -> list[Fault]:
    """Everything that would make the run fail later.

    Args:
        run: what is asked for.
        cluster: where its queue has to be.
        storage: which ``run.params.storage`` names.
        name: of the FineTune.
        uid: of the FineTune.

    Raises:
        StorageError: storage does not answer, so nothing is known.
        UnavailableError: the API server does not.
    """
    found = [*_queue(run, cluster)]
    try:
        for word, content in run.inputs.model_dump(exclude_none=True).items():
            found += _input(word, content, DvcRemote(storage))
        if not found:
            found += _base(run, storage)
        # A run that computes for days must not learn at its end that it may write nothing.
        _probe(run, storage, f"{_folder(cluster.namespace, name, uid)}/inputs.json")
    except NoBucketError as error:
        found.append(Fault("BucketMissing", str(error)))
    except ForbiddenError as error:
        found.append(
            Fault(
                "StorageForbidden",
                f"{error}; the controller's own ServiceAccount has to read and write there, as the run's",
            )
        )
    return found


def _queue(run: Run, cluster: Cluster) -> Iterator[Fault]:
    queue = run.placement.queue
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


def _base(run: Run, storage: Storage) -> Iterator[Fault]:
    """The record of the base model has to be one, and to be enough: a folder of someone's machine has to come along."""
    content = run.inputs.base
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
    if not of_hub and run.inputs.model is None and not any(file.startswith(_REBUILT) for file in files):
        yield Fault(
            "BaseMissing",
            f"{where}: the base model is the folder {record.get('folder')}, and spec.run.inputs.model is not given; "
            "'serin job submit' puts the folder into storage and fills it in",
        )


def _probe(run: Run, storage: Storage, key: str) -> None:
    inputs = run.inputs.model_dump(by_alias=True, exclude_none=True)
    storage.write(key, json.dumps({"stages": list(run.stages), "inputs": inputs}, indent=2).encode())


def _folder(namespace: str, name: str, uid: str) -> str:
    return prefix_of(namespace, name, uid, STAGES[0]).rpartition("/")[0]
