"""The side record: what a run took, on which machine. It stands beside the output and is no part of its identity."""

import os
import platform
import resource
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from serin.clients.files import write_json
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.watcher import Ending, Phase, RunInfo, Speed

_PACKAGES = ("serin", "torch", "transformers", "peft", "bitsandbytes", "numpy")


class SideRecord:
    """Writes the record when an attempt ends, whichever way."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.clock = clock
        self._began_at = clock()
        self._phase_began_at = self._began_at
        self._phase: str = "starting"
        self._seconds: dict[str, float] = {}
        self._tokens = 0
        self._attempt: dict[str, Any] = {"started": datetime.now(UTC).isoformat(timespec="seconds")}

    def started(self, run: RunInfo, history: History) -> None:  # noqa: ARG002 - the interface's
        """See ``Watcher``."""
        self._attempt |= {"run": run.key, "attempt": run.attempt, "start_step": run.start_step}

    def entered(self, phase: Phase, step: int) -> None:  # noqa: ARG002 - the interface's
        """See ``Watcher``."""
        if phase != self._phase:
            self._close_phase(phase)

    def stepped(self, record: StepRecord, speed: Speed) -> None:
        """See ``Watcher``."""
        self._tokens += record.tokens
        self._attempt |= {"last_step": record.step, "micro_batch_size": speed.micro_batch_size}

    def validated(self, record: ValidationRecord, best: bool) -> None:
        """See ``Watcher``."""

    def noted(self, message: str) -> None:
        """See ``Watcher``."""

    def ended(self, how: Ending, message: str) -> None:
        """See ``Watcher``."""
        self._close_phase("ended")
        trained_s = self._seconds.get("training", 0.0)
        write_json(
            self.path,
            {
                **self._attempt,
                "ended": how,
                "message": message,
                "seconds": {phase: round(seconds, 3) for phase, seconds in self._seconds.items()},
                "tokens_per_s": round(self._tokens / trained_s, 1) if trained_s else None,
                "peak_memory_bytes": peak_memory_bytes(),
                "machine": machine(),
                "packages": {name: version(name) for name in _PACKAGES},
                "commit": commit(),
            },
        )

    def _close_phase(self, following: str) -> None:
        now = self.clock()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._phase_began_at
        self._phase, self._phase_began_at = following, now


def peak_memory_bytes() -> dict[str, int]:
    """The most that this process has held: of the machine's memory, and of the GPU's where it has one."""
    peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    if torch.cuda.is_available():
        peak["gpu"] = torch.cuda.max_memory_allocated()
    return peak


def machine() -> dict[str, Any]:
    """Processor, cores, GPUs and system."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "gpus": gpus,
        "python": platform.python_version(),
    }


def commit() -> str | None:
    """The commit that is checked out here, with ``+`` if files differ from it; None outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+"], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return described.stdout.strip() or None
