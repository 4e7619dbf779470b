"""FineTunes, Jobs, pods and Workloads as an API server shows them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from serin.controller.jobs import render
from serin.core.task import INPUTS, Ending, Result, Stage

HASH = f"{'0' * 32}.dir"
UID = "12345678-aaaa-bbbb-cccc-1234567890ab"
IMAGE = f"registry.example/serin-train@sha256:{'0' * 64}"
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    """So long after the start."""
    return (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def finetune(
    stages: Sequence[Stage] | None = None,
    params: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    name: str = "law-qa",
    suspend: bool = False,
    **placement: Any,
) -> dict[str, Any]:
    run: dict[str, Any] = {
        "inputs": {"base": HASH, "dataset": HASH, **(inputs or {})},
        "params": {"storage": {"url": "s3://bucket/serin"}, **(params or {})},
        "placement": {"image": IMAGE, **placement},
    }
    if stages:
        run["stages"] = list(stages)
    return {
        "apiVersion": "serin.dev/v1alpha1",
        "kind": "FineTune",
        "metadata": {"name": name, "namespace": "team", "uid": UID, "generation": 1},
        "spec": {"suspend": suspend, "run": run},
    }


def job(
    of: Mapping[str, Any],
    stage: Stage = "train",
    uid: str = "job-1",
    conditions: Sequence[Mapping[str, Any]] = (),
    suspend: bool | None = None,
    owner: str = UID,
) -> dict[str, Any]:
    """The stage's Job as it was created, with what its controller wrote since."""
    body = render(of, stage, dict.fromkeys(INPUTS[stage], HASH))
    body["metadata"] |= {"uid": uid, "creationTimestamp": at(0)}
    body["metadata"]["ownerReferences"][0]["uid"] = owner
    if suspend is not None:
        body["spec"]["suspend"] = suspend
    body["status"] = {"conditions": [dict(each) for each in conditions]}
    return body


def condition(
    type_: str, reason: str = "", message: str = "", seconds: float = 100, status: str = "True"
) -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": at(seconds)}


def pod(
    name: str = "law-qa-train-12345678-abcde",
    phase: str = "Running",
    state: Mapping[str, Any] | None = None,
    conditions: Sequence[Mapping[str, Any]] = (),
    index: int | None = None,
    made: float = 0,
    **status: Any,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "creationTimestamp": at(made)}
    if index is not None:
        metadata["labels"] = {"batch.kubernetes.io/job-completion-index": str(index)}
    container = {
        "name": "run",
        "image": IMAGE,
        "resources": {"requests": {"nvidia.com/gpu": "1", "memory": "32Gi"}, "limits": {"memory": "32Gi"}},
    }
    statuses = [{"name": "run", "state": dict(state)}] if state is not None else []
    return {
        "metadata": metadata,
        "spec": {"nodeName": "node-1", "containers": [container]},
        "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": statuses, **status},
    }


def running(name: str = "law-qa-train-12345678-abcde", started: float = 10, **more: Any) -> dict[str, Any]:
    return pod(name, "Running", {"running": {"startedAt": at(started)}}, **more)


def ended(
    code: int,
    name: str = "law-qa-train-12345678-abcde",
    started: float = 10,
    finished: float = 70,
    message: str = "",
    reason: str = "Error",
    **more: Any,
) -> dict[str, Any]:
    state = {
        "exitCode": code,
        "reason": "Completed" if code == 0 else reason,
        "message": message,
        "startedAt": at(started),
        "finishedAt": at(finished),
    }
    return pod(name, "Succeeded" if code == 0 else "Failed", {"terminated": state}, **more)


def last_words(code: int, message: str, **more: Any) -> str:
    return Ending(exit_code=code, message=message, **more).model_dump_json()


def result(stage: Stage, passed: bool | None = None, missed: Sequence[str] = (), revision: str | None = None) -> Result:
    out = {"train": "1", "merge": "2", "evaluate": "3", "publish": "4"}[stage] * 32
    return Result(stage=stage, out=out, digest="d" * 64, passed=passed, missed=list(missed), revision=revision)


def workload(conditions: Sequence[Mapping[str, Any]] = (), active: bool = True, marked: bool = False) -> dict[str, Any]:
    annotations = {"serin.dev/suspended": "true"} if marked else {}
    return {
        "metadata": {"name": "job-law-qa-train-12345678-9f1c2", "annotations": annotations},
        "spec": {"active": active},
        "status": {"conditions": list(conditions)},
    }
