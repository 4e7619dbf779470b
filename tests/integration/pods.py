"""Pods without a cluster: ``serin task`` as a process of its own, with its own disk, and storage as all that they share."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.warm.start import Warm

from serin.clients.dvc_remote import put
from serin.clients.storage import Storage, open_storage
from serin.core.params import StorageParams
from serin.core.task import Ending, Result, Stage, Task, log_prefix, progress_key, result_key


@dataclass
class Pod:
    """A pod's process and its disk."""

    name: str
    folder: Path
    process: "subprocess.Popen[bytes]"
    killed: bool = False

    def wait(self, seconds: float = 300) -> int:
        """Its exit code."""
        return self.process.wait(seconds)

    def printed(self) -> str:
        return (self.folder / "printed").read_text()

    def ending(self) -> Ending:
        """The termination message, as the kubelet reads it."""
        data = (self.folder / "termination").read_bytes()
        assert len(data) <= 4096
        return Ending.model_validate_json(data)

    def kill(self) -> None:
        """The node is gone: everything in the pod dies at once."""
        for process in [self.process.pid, *self.descendants()]:
            os.kill(process, signal.SIGKILL)
        self.wait()

    def descendants(self, of: int | None = None) -> list[int]:
        folder = Path(f"/proc/{of or self.process.pid}/task")
        children = [int(child) for task in folder.glob("*/children") for child in task.read_text().split()]
        return children + [process for child in children for process in self.descendants(child)]


@dataclass
class Pods:
    """Starts pods of one FineTune, each on a disk of its own."""

    root: Path
    storage: StorageParams
    params: dict[str, Any]
    warm: Warm
    environment: dict[str, str] = field(default_factory=dict)
    started: list[Pod] = field(default_factory=list)

    def put(self, folder: Path) -> str:
        return put(folder, self.storage)

    def task(self, stage: Stage, inputs: Mapping[str, str], **more: Any) -> Task:
        params = {"storage": self.storage.model_dump(), **self.params}
        return Task.model_validate(
            {"stage": stage, "prefix": self.prefix(stage), "params": params, "inputs": inputs, **more}
        )

    def prefix(self, stage: Stage) -> str:
        return f"runs/team/law-0a1b2c3d/{stage}"

    def start(self, name: str, task: Task, *before: str, **environment: str) -> Pod:
        """The pod's process, in its own folder; where there is a command ``before``, it starts a new Python."""
        folder = self.root / name
        (folder / "home").mkdir(parents=True)
        own = {
            "SERIN_TASK": task.model_dump_json(),
            "SERIN_POD": name,
            "SERIN_WORK": str(folder / "work"),
            "SERIN_TERMINATION_LOG": str(folder / "termination"),
            "HOME": str(folder / "home"),
            "OMP_NUM_THREADS": "1",
        }
        inherited = {key: value for key, value in os.environ.items() if key not in ("SERIN_RUNS", "SERIN_TASK")}
        with (folder / "printed").open("wb") as printed:
            process = self.warm.popen(
                [*before, sys.executable, "-m", "serin", "task"],
                cwd=folder,
                env={**inherited, **own, **self.environment, **environment},
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(Pod(name, folder, process))
        return self.started[-1]

    def run(self, name: str, task: Task, *before: str, **environment: str) -> Pod:
        pod = self.start(name, task, *before, **environment)
        pod.wait()
        return pod

    def close(self) -> None:
        for pod in self.started:
            if pod.process.poll() is None:
                pod.kill()

    @property
    def stored(self) -> Storage:
        return open_storage(self.storage)

    def result(self, stage: Stage) -> Result | None:
        data, _ = self.stored.read_versioned(result_key(self.prefix(stage)))
        return None if data is None else Result.model_validate_json(data)

    def progress(self, stage: Stage) -> dict[str, Any]:
        data, _ = self.stored.read_versioned(progress_key(self.prefix(stage)))
        return {} if data is None else json.loads(data)

    def log(self, stage: Stage, pod: str) -> str:
        """The parts of a pod's log, put together."""
        parts = self.stored.list(log_prefix(self.prefix(stage), pod) + "/")
        return b"".join(self.stored.read(part) for part in parts).decode()


def until(condition: Callable[[], bool], pod: Pod, seconds: float = 300) -> None:
    """Wait for something that a pod does."""
    end = time.monotonic() + seconds
    while not condition():
        assert pod.process.poll() is None, pod.printed()
        assert time.monotonic() < end, pod.printed()
        time.sleep(0.05)
