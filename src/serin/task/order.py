"""What a pod is told by its environment: the task, which pod it is, and where it may write."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from serin.core.errors import ConfigError
from serin.core.params import Params, parse_params
from serin.core.task import INPUTS, TASK_VARIABLE, Task

POD_VARIABLE = "SERIN_POD"
"""The pod's name."""
WORK_VARIABLE = "SERIN_WORK"
"""The folder that inputs and outputs are put into; the current one where it is not set."""
TERMINATION_VARIABLE = "SERIN_TERMINATION_LOG"
"""The file that Kubernetes takes the container's last word from; ``/dev/termination-log`` where it is not set."""
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""Which of several pods this is, from 0; Kubernetes sets it in an Indexed Job."""
_PORT = 29500  # torchrun's own default
_SHORTEST_EXAMPLE = 16


@dataclass(frozen=True, slots=True)
class Order:
    """One pod's task, with all that it needs to know of its place."""

    task: Task
    params: Params
    pod: str
    index: int
    """Among the pods that train together, from 0; only the first one stores results."""
    master: str
    """Name of the first pod on the network; empty where one pod works alone."""
    port: int
    """Where the first pod's processes are found."""
    work: Path
    """The working folder, with ``artifacts/<word>`` as ``dvc.yaml`` has them."""
    runs: Path
    """Where work in progress is kept."""
    termination: Path

    @property
    def is_distributed(self) -> bool:
        """Whether several processes train together; the other stages run in one."""
        return self.task.stage == "train" and self.task.nodes * self.task.processes > 1

    @property
    def is_first(self) -> bool:
        """Whether this is the pod that stores results."""
        return self.index == 0


def read_order(environment: Mapping[str, str]) -> Order:
    """What the environment says.

    Raises:
        ConfigError: no task, one with faults or without an input of its stage, or one for several pods that do not know each
            other.
    """
    task = _read_task(environment)
    missing = [word for word in INPUTS[task.stage] if word not in task.inputs]
    if missing:
        raise ConfigError(
            f"{TASK_VARIABLE}: {task.stage} takes {', '.join(missing)}, and inputs has none: add its hash"
        )
    index, master = environment.get(INDEX_VARIABLE, "0"), environment.get("MASTER_ADDR", "")
    if task.nodes > 1 and not (master and INDEX_VARIABLE in environment and index.isdecimal()):
        raise ConfigError(
            f"{TASK_VARIABLE}: nodes = {task.nodes}, so MASTER_ADDR has to name the first pod and {INDEX_VARIABLE} this one's "
            "number: run the task in the pods of a JobSet"
        )
    work = Path(environment.get(WORK_VARIABLE) or ".").absolute()
    return Order(
        task=task,
        params=parse_params(params_of(task), TASK_VARIABLE),
        pod=environment.get(POD_VARIABLE) or socket.gethostname(),
        index=int(index) if task.nodes > 1 else 0,
        master=master if task.nodes > 1 else "",
        port=int(environment.get("MASTER_PORT", _PORT)),
        work=work,
        runs=Path(environment.get("SERIN_RUNS") or work / "runs").absolute(),
        termination=termination_file(environment),
    )


def termination_file(environment: Mapping[str, str]) -> Path:
    """Where the container's last word goes."""
    return Path(environment.get(TERMINATION_VARIABLE) or "/dev/termination-log")


def params_of(task: Task) -> dict[str, Any]:
    """What ``params.yaml`` holds in the pod.

    ``prepare`` ran elsewhere, and its default must not be held against a ``train.max_tokens`` that is shorter. Checkpoints lie
    where the pod may write, whatever folder another machine has for them; and the stage runs here, and not as a Job.
    """
    values = {"prepare": {"max_tokens": _SHORTEST_EXAMPLE}, **task.params, "executor": "local"}
    runs = values.get("runs")
    if isinstance(runs, dict) and isinstance(checkpoints := runs.get("checkpoints"), dict):
        values["runs"] = {**runs, "checkpoints": {**checkpoints, "folder": None}}
    return values


def _read_task(environment: Mapping[str, str]) -> Task:
    text = environment.get(TASK_VARIABLE)
    if not text:
        raise ConfigError(
            f"{TASK_VARIABLE} is not set: 'serin task' is what the pod of a Job runs; 'serin job submit' makes one"
        )
    try:
        return Task.model_validate_json(text)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or '(root)'}: {f['msg']}" for f in error.errors()[:10])
        raise ConfigError(
            f"{TASK_VARIABLE} is no task ({faults}): controller and image are of different versions of Serin"
        ) from error
