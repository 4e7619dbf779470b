"""The side record: what a run took, on which machine. It stands beside the output and is no part of its identity."""

import os
import platform
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from serin.clients.files import read_json, write_json
from serin.core.errors import InputError
from serin.train.history import History, StepRecord, ValidationRecord
from serin.train.watch.watcher import Ending, Phase, RunInfo, Speed

_PACKAGES = ("serin", "torch", "transformers", "peft", "bitsandbytes", "numpy")


class SideRecord:
    """Keeps an entry for each attempt at the run: written when it starts, whole when it ends.

    The file holds ``run`` and ``attempts``; an attempt that was killed has no ``ended``. Attempts at another run, whose output
    stood there before, are dropped.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.clock = clock
        self._run: str | None = None
        self._before: list[dict[str, Any]] = []
        self._attempt: dict[str, Any] = {"started": datetime.now(UTC).isoformat(timespec="seconds")}
        self._phase: str = "starting"
        self._phase_began_at = clock()
        self._seconds: dict[str, float] = {}
        self._tokens = 0

    def started(self, run: RunInfo, history: History) -> None:  # noqa: ARG002 - the interface's
        """See ``Watcher``."""
        self._run = run.key
        self._before = attempts_in(self.path, run.key)
        self._attempt |= {
            "attempt": run.attempt,
            "start_step": run.start_step,
            "machine": machine(),
            "packages": {name: _version_of(name) for name in _PACKAGES},
            "commit": commit(),
        }
        self._write()

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
        if self._run is None:  # nothing was begun: what stands there belongs to the output that stands there
            return
        self._close_phase("ended")
        trained_s = self._seconds.get("training", 0.0)
        self._attempt |= {
            "ended": how,
            "message": message,
            "seconds": {phase: round(seconds, 3) for phase, seconds in self._seconds.items()},
            "tokens_per_s": round(self._tokens / trained_s, 1) if trained_s else None,
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self._write()

    def _close_phase(self, following: str) -> None:
        now = self.clock()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._phase_began_at
        self._phase, self._phase_began_at = following, now

    def _write(self) -> None:
        write_json(self.path, {"run": self._run, "attempts": [*self._before, self._attempt]})


def attempts_in(path: Path, run: str) -> list[dict[str, Any]]:
    """The attempts at ``run`` that the record at ``path`` tells of; none where it tells of another run or cannot be read."""
    try:
        record = read_json(path)
        return list(record["attempts"]) if record["run"] == run else []
    except (InputError, KeyError, TypeError):
        return []


def peak_memory_bytes() -> dict[str, int]:
    """The most that this process has held: of the machine's memory, and of the GPU's where it has one."""
    peak = {"host": _peak_host_kib() * 1024}
    if torch.cuda.is_available():
        peak["gpu"] = torch.cuda.max_memory_allocated()
    return peak


def machine() -> dict[str, Any]:
    """Processor, cores, memory, GPUs and system."""
    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return {
        "system": platform.platform(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": [{"name": gpu.name, "memory_bytes": gpu.total_memory} for gpu in gpus],
        "python": platform.python_version(),
    }


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The model, as the kernel names it; the architecture where it does not."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def commit() -> str | None:
    """The commit that is checked out here, with ``+`` if files differ from it; None outside a repository."""
    describe = ("describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+")
    try:
        # No lock: somebody may be using the repository.
        described = subprocess.run(
            ["git", "--no-optional-locks", *describe], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return described.stdout.strip() or None


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _peak_host_kib() -> int:
    """Of this process alone: what getrusage says is inherited from a larger parent (proc(5), VmHWM)."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])
