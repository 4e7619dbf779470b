"""How a stage is started: alone, or by torchrun in as many processes as there are GPUs. Nothing is started here."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from serin.core.task import MODEL_VARIABLE, TASK_VARIABLE
from serin.task.order import Order

PARAMS_FILE = "params.yaml"
_SHUTDOWN_S = 5
"""What torchrun gives the other processes once one has ended, beside the time in which checkpoints are copied: together less than
the pod has from SIGTERM to SIGKILL, of which the controller gives the copies three quarters."""


def command_of(order: Order, codes: Path, killed_for_memory: bool = False) -> list[str]:
    """The command line.

    Args:
        order: of this pod.
        codes: the folder in which each of several processes leaves its exit code; torchrun itself always ends with 1.
        killed_for_memory: the last attempt fell to memory's keeper.
    """
    flags = ["--killed-for-memory"] if killed_for_memory and order.task.stage == "train" else []
    stage = [order.task.stage, "--params", PARAMS_FILE, *flags]
    if not order.is_distributed:
        return [sys.executable, "-m", "serin", *stage]
    shutdown_s = int(order.params.runs.checkpoints.grace_s) + _SHUTDOWN_S
    alone = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    together = ["--node-rank", str(order.index), "--master-addr", order.master, "--master-port", str(order.port)]
    return [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", str(order.task.nodes), "--nproc-per-node", str(order.task.processes)),
        *(together if order.task.nodes > 1 else alone),
        *("--max-restarts", "0", "--shutdown-timeout", str(shutdown_s)),
        *("-m", "serin.task.process", str(codes), *stage),
    ]


def environment_of(order: Order, environment: Mapping[str, str]) -> dict[str, str]:
    """The stage's environment: all that is written goes under the working folder, unless the pod says otherwise."""
    cache = order.work / "cache"
    defaults = {
        "XDG_CACHE_HOME": cache,
        "HF_HOME": cache / "huggingface",
        "MPLCONFIGDIR": cache / "matplotlib",
        "TRITON_CACHE_DIR": cache / "triton",
        "TORCHINDUCTOR_CACHE_DIR": cache / "inductor",
    }
    model = {MODEL_VARIABLE: str(order.work / "model")} if "model" in order.task.inputs else {}
    inherited = {name: value for name, value in environment.items() if name != TASK_VARIABLE}
    places = {name: str(path) for name, path in defaults.items()}
    return places | inherited | model | {"SERIN_RUNS": str(order.runs), "PYTHONUNBUFFERED": "1"}


def exit_codes(codes: Path) -> list[int]:
    """What the processes of torchrun that could say so ended with."""
    return [int(path.read_text()) for path in codes.glob("*.code")]


def code_of_all(code: int, codes: Iterable[int]) -> int:
    """How several processes ended together.

    Args:
        code: of torchrun, which says only that not all ended well.
        codes: of those processes that could leave one. What one process says of params or of a gate is so for all; 75 counts
            where none says that it failed.
    """
    found = set(codes)
    if code == 0:
        return 0
    for told in (78, 3, 2):
        if told in found:
            return told
    return 75 if found - {0} == {75} else 1
