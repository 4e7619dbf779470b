"""One pod as its kubelet sees it: what it can say of itself, and what it leaves in storage."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serin.clients.storage import Storage
from serin.core.task import TASK_VARIABLE, Ending, Result, Task, log_prefix, progress_key, result_key

from ..clock import stamp
from .deposit import deposit
from .node import Clock, Node, Object

StorageOf = Callable[[Task], Storage]


class Pod:
    """Writes the status of one pod. ``released`` is set when a test lets its work end; ``process`` is there where it is a real
    one."""

    def __init__(self, node: Node, clock: Clock, storage_of: StorageOf, made: Object) -> None:
        self.made = made
        self.name: str = made["metadata"]["name"]
        self.namespace: str = made["metadata"]["namespace"]
        self.uid: str = made["metadata"]["uid"]
        self.printed = b""
        self.released = False
        self.process: subprocess.Popen[bytes] | None = None
        self._node = node
        self._clock = clock
        self._storage_of = storage_of
        self._parts = 0
        self._started: str | None = None
        self._told: dict[str, tuple[str, str]] = {}
        """Of its conditions: status and message as they were reported last."""

    # ---- what it knows ---------------------------------------------------------------------------------------------------
    @property
    def labels(self) -> Mapping[str, str]:
        """Of its template, and its Job's."""
        labels: Mapping[str, str] = self.made["metadata"].get("labels") or {}
        return labels

    @property
    def environment(self) -> Mapping[str, str]:
        """Of its first container: what stands there, and what the downward API says of names."""
        fields = {"metadata.name": self.name, "metadata.namespace": self.namespace, "metadata.uid": self.uid}
        found = {}
        for variable in self.made["spec"]["containers"][0].get("env") or ():
            path = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
            found[variable["name"]] = variable.get("value") or fields.get(path) or self._labelled(path)
        return found

    def _labelled(self, path: str) -> str:
        for kind, sort in (("labels", "metadata.labels["), ("annotations", "metadata.annotations[")):
            if path.startswith(sort):
                return str((self.made["metadata"].get(kind) or {}).get(path[len(sort) :].strip("]'\""), ""))
        return ""

    @property
    def task(self) -> Task | None:
        """What it is told to do; None where it is no run of Serin's."""
        given = self.environment.get(TASK_VARIABLE)
        return Task.model_validate_json(given) if given else None

    def current(self) -> Object | None:
        """As the server has it; None once it is gone, or another one has its name."""
        return self._node.find(self.made)

    def seconds(self) -> float:
        """By the cluster's clock."""
        return self._clock.now().timestamp()

    # ---- what its kubelet says of it -------------------------------------------------------------------------------------
    def schedule(self) -> None:
        """Bind it to a node; its containers are being made."""
        self._node.bind(self.made)
        self._status({"phase": "Pending", "conditions": self._conditions(PodScheduled=("True", "", ""))})
        self.wait("ContainerCreating", "")

    def unschedulable(self, message: str) -> None:
        """The scheduler found no node."""
        conditions = self._conditions(PodScheduled=("False", "Unschedulable", message))
        self._status({"phase": "Pending", "conditions": conditions})

    def wait(self, reason: str, message: str) -> None:
        """The container waits."""
        self._status({"phase": "Pending", "containerStatuses": [self._container({"waiting": _said(reason, message)})]})

    def start(self) -> None:
        """The container runs."""
        now = stamp(self._clock.now())
        self._started = now
        self._status(
            {
                "phase": "Running",
                "startTime": now,
                "conditions": self._conditions(Ready=("True", "", ""), ContainersReady=("True", "", "")),
                "containerStatuses": [self._container({"running": {"startedAt": now}})],
            }
        )

    def end(
        self, code: int, message: str, result: Result | None = None, raw: str | None = None, reason: str | None = None
    ) -> None:
        """The container ends, with its termination message: an ``Ending``, or ``raw``."""
        ending = Ending(exit_code=code, message=message, result=result).model_dump_json(exclude_none=True)
        told = ending if raw is None else raw
        terminated = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "message": told[:4096],
            "startedAt": self._started,
            "finishedAt": stamp(self._clock.now()),
        }
        state = {"terminated": {k: v for k, v in terminated.items() if v not in (None, "")}}
        conditions = self._conditions(Ready=("False", "", ""), ContainersReady=("False", "", ""))
        phase = "Succeeded" if code == 0 else "Failed"
        self._status({"phase": phase, "conditions": conditions, "containerStatuses": [self._container(state)]})

    def fail(self, reason: str, message: str) -> None:
        """The pod fails as a whole."""
        status: Object = {"phase": "Failed", **_said(reason, message)}
        if self._started:
            ended = {
                "exitCode": 137,
                "reason": "Error",
                "startedAt": self._started,
                "finishedAt": stamp(self._clock.now()),
            }
            status["containerStatuses"] = [self._container({"terminated": ended})]
        self._status(status)

    def disrupt(self, reason: str, message: str) -> None:
        """It will be disrupted, for a reason that is not its own."""
        self._status({"conditions": self._conditions(DisruptionTarget=("True", reason, message))})

    def delete(self) -> None:
        """Somebody deletes it: SIGTERM, and the end of its grace period."""
        self._node.delete(self.made)

    # ---- what the run in it does -----------------------------------------------------------------------------------------
    def print(self, line: str) -> None:
        """A line of its log, in the pod and in storage."""
        data = f"{line}\n".encode()
        self.printed += data
        if (task := self.task) is not None:
            self._parts += 1
            self._storage_of(task).write(f"{log_prefix(task.prefix, self.name)}/{self._parts:05d}.log", data)

    def progress(self, progress: Mapping[str, Any]) -> None:
        """``progress.json`` in storage."""
        if (task := self.task) is not None:
            told = {"phase": "training", "attempt": self.name, **progress}
            self._storage_of(task).write(progress_key(task.prefix), json.dumps(told).encode())

    def leave_result(self, metrics: Mapping[str, Any], passed: bool | None, missed: Sequence[str]) -> Result | None:
        """The output in the DVC remote, and after it the result; both follow from the task alone, so a second pod leaves
        the same."""
        task = self.task
        if task is None:
            return None
        storage = self._storage_of(task)
        inputs = json.dumps({"stage": task.stage, "inputs": task.inputs}, sort_keys=True).encode()
        out = deposit(storage, {"manifest.json": inputs})
        result = Result(
            stage=task.stage,
            out=out,
            digest=out.removesuffix(".dir") * 2,
            metrics=dict(metrics),
            passed=(True if passed is None else passed) if task.stage == "evaluate" else None,
            missed=list(missed),
            revision=f"model@{out[:12]}" if task.stage == "publish" else None,
        )
        storage.write_new(result_key(task.prefix), result.model_dump_json().encode())
        return result

    # ---- how it is written -----------------------------------------------------------------------------------------------
    def _status(self, change: Object) -> None:
        self._node.report(self.made, change)

    def _conditions(self, **changes: tuple[str, str, str]) -> list[Object]:
        """Those that change; the others stay as they are."""
        now = stamp(self._clock.now())
        changed = []
        for sort, (status, reason, message) in changes.items():
            if self._told.get(sort) != (status, message):
                self._told[sort] = (status, message)
                said = {"reason": reason or None, "message": message or None}
                changed.append({"type": sort, "status": status, **said, "lastTransitionTime": now})
        return changed

    def _container(self, state: Object) -> Object:
        container = self.made["spec"]["containers"][0]
        return {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": "running" in state,
            "restartCount": 0,
            "state": state,
        }


def _said(reason: str, message: str) -> Object:
    return {k: v for k, v in (("reason", reason), ("message", message)) if v}
