"""What a scenario acts on: a user's view of the cluster, what its pods do, and the controller, which may die at any time."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from serin.clients.kubernetes import Cluster
from serin.clients.kubernetes.kinds import FINE_TUNES, JOB_SETS, JOBS, PODS
from serin.clients.storage import Storage
from serin.core.task import STAGES, Stage, prefix_of, result_key

from .backend import Backend
from .kubelet.deposit import deposit

Object = dict[str, Any]
LIMIT_S = 150.0


class Controller(Protocol):
    """How a scenario gets the controller to work."""

    def turn(self) -> None:
        """Let it and the cluster work for a moment."""


class World:
    """One namespace. Nothing may take longer than ``limit_s``, nor than so many ``turns`` where they measure time."""

    def __init__(
        self,
        user: Cluster,
        backend: Backend,
        storage: Storage,
        storage_params: Mapping[str, Any],
        controller: Controller,
        turns: int | None = None,
        limit_s: float = LIMIT_S,
    ) -> None:
        self.user = user
        self.backend = backend
        self.pods = backend.pods
        self.queues = backend.queues
        self.storage = storage
        self.controller = controller
        self._storage_params = dict(storage_params)
        self._turns = turns
        self._limit_s = limit_s

    @property
    def made(self) -> Mapping[tuple[str, Stage], int]:
        """How many Jobs or JobSets there ever were of each FineTune and stage."""
        return self.backend.made

    # ---- what a user does ------------------------------------------------------------------------------------------------
    def submit(
        self, name: str = "law", stages: Sequence[Stage] = STAGES, suspend: bool = False, **placement: Any
    ) -> Object:
        """Create a FineTune whose inputs lie in storage."""
        return self.user.create(FINE_TUNES, self.finetune(name, stages, suspend, **placement))

    def finetune(self, name: str, stages: Sequence[Stage] = STAGES, suspend: bool = False, **placement: Any) -> Object:
        """One as a user writes it, with its inputs in storage."""
        record = {"base.json": b'{"source": "tiny/base", "revision": "%s"}' % (b"a" * 40)}
        inputs = {"base": deposit(self.storage, record), "dataset": deposit(self.storage, {"train.jsonl": b"{}\n"})}
        for word in {"train": (), "merge": ("adapter",)}.get(stages[0], ("adapter", "merged")):
            inputs[word] = deposit(self.storage, {f"{word}.bin": word.encode()})
        if stages[0] == "publish":
            inputs["evaluation"] = deposit(self.storage, {"verdict.json": b"{}"})
        run = {
            "stages": list(stages),
            "inputs": inputs,
            "params": {"storage": self._storage_params},
            "placement": {"image": "registry.example/serin-train:1", **self.backend.placement, **placement},
        }
        return {
            "apiVersion": FINE_TUNES.api_version,
            "kind": FINE_TUNES.kind,
            "metadata": {"name": name},
            "spec": {"suspend": suspend, "run": run},
        }

    def suspend(self, name: str, suspend: bool) -> None:
        """As ``serin job stop`` and ``resume`` do."""
        self.user.patch(FINE_TUNES, name, {"spec": {"suspend": suspend}})

    # ---- what a user sees ------------------------------------------------------------------------------------------------
    def status(self, name: str = "law") -> Mapping[str, Any]:
        """Of a FineTune; empty where there is none, or it has none yet."""
        found = self.user.get(FINE_TUNES, name)
        return {} if found is None else found.get("status", {})

    def stage(self, stage: Stage, name: str = "law") -> Mapping[str, Any]:
        """One stage in a FineTune's status."""
        return next((each for each in self.status(name).get("stages", ()) if each["name"] == stage), {})

    def condition(self, sort: str, name: str = "law") -> tuple[str, str, str]:
        """Status, reason and message of a condition."""
        for each in self.status(name).get("conditions", ()):
            if each["type"] == sort:
                return each["status"], each["reason"], each.get("message", "")
        return "", "", ""

    def phase(self, name: str = "law") -> str:
        """Of a FineTune."""
        return str(self.status(name).get("phase", ""))

    def jobs(self, name: str = "law") -> Sequence[Object]:
        """Its Jobs and JobSets; those that a JobSet made are not among them."""
        labels = {"serin.dev/finetune": name}
        found = [*self.user.list(JOBS, labels)[0]]
        if self.backend.has("jobset"):
            found += self.user.list(JOB_SETS, labels)[0]
        return [job for job in found if job["metadata"]["ownerReferences"][0]["kind"] == FINE_TUNES.kind]

    def job(self, stage: Stage, name: str = "law") -> Object:
        """The one of a stage. Raises LookupError where there is none."""
        for job in self.jobs(name):
            if job["metadata"]["labels"]["serin.dev/stage"] == stage:
                return job
        raise LookupError(f"{name} has no Job for {stage}")

    def is_complete(self, stage: Stage, name: str = "law") -> bool:
        """Whether the Job of a stage is there and has the condition Complete."""
        of_stage = [job for job in self.jobs(name) if job["metadata"]["labels"]["serin.dev/stage"] == stage]
        return any(c["type"] == "Complete" for job in of_stage for c in job.get("status", {}).get("conditions", ()))

    def alive(self, name: str = "law") -> Sequence[Object]:
        """Pods that have not ended."""
        pods = self.user.list(PODS, {"serin.dev/finetune": name})[0]
        return [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]

    def has_result(self, finetune: Object, stage: Stage) -> bool:
        """Whether a stage left its result in storage."""
        metadata = finetune["metadata"]
        key = result_key(prefix_of(metadata["namespace"], metadata["name"], metadata["uid"], stage))
        return self.storage.read_versioned(key)[0] is not None

    # ---- time ------------------------------------------------------------------------------------------------------------
    def until(self, holds: Callable[[], object], what: str) -> None:
        """Let everything work until something holds. Raises AssertionError where it never does."""
        end = time.monotonic() + self._limit_s
        turns = 0
        while not holds():
            turns += 1
            if time.monotonic() > end or (self._turns is not None and turns > self._turns):
                raise AssertionError(f"it never came to this: {what}; the statuses are {self._told()}")
            self.controller.turn()

    def rest(self, turns: int = 8) -> None:
        """Let everything work for a while, so that what should not happen has its chance."""
        for _ in range(turns):
            self.controller.turn()

    def pass_time(self, seconds: float) -> None:
        """Let the cluster's clock go on by so much."""
        self.backend.pass_time(seconds)

    def until_phase(self, phase: str, name: str = "law") -> None:
        """Until a FineTune is in a phase."""
        self.until(lambda: self.phase(name) == phase, f"{name} is {phase}")

    def until_running(self, stage: Stage = "train", name: str = "law") -> None:
        """Until the status says that a stage runs."""
        self.until(
            lambda: self.stage(stage, name).get("state") == "Running" and self.alive(name), f"{name}: {stage} runs"
        )

    def until_failed(self, reason: str, name: str = "law") -> str:
        """Until a FineTune is Failed, for that reason; the message of it."""
        self.until_phase("Failed", name)
        status, found, message = self.condition("Failed", name)
        assert (status, found) == ("True", reason), message
        return message

    def _told(self) -> list[Any]:
        return [(found["metadata"]["name"], found.get("status")) for found in self.user.list(FINE_TUNES)[0]]
