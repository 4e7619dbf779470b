"""Running Serin's own commands as a user would, with their output kept and their time taken."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from serin.core.errors import FinalError

_STOP_S = 20.0
_POLL_S = 0.05


@dataclass
class Commands:
    """Runs commands in one folder; ``timings_s`` holds the seconds of each named step."""

    folder: Path
    timings_s: dict[str, float] = field(default_factory=dict)

    def serin(self, *arguments: str) -> list[str]:
        """The command line of a verb, with this interpreter."""
        return [sys.executable, "-m", "serin", *arguments]

    def dvc(self, *arguments: str) -> list[str]:
        """The command line of DVC, with this interpreter."""
        return [sys.executable, "-m", "dvc", *arguments]

    def run(self, step: str, command: Sequence[str], expected: Collection[int] = (0,)) -> None:
        """Run a step and wait for it; if the wait is interrupted, it is ended with everything that it started.

        Raises FinalError with the command where it ends with an unexpected code.
        """
        print(f"\n── {step}: {' '.join(shown(command))}", flush=True)
        started = time.monotonic()
        with self._group(command) as process:
            code = process.wait()
        self.timings_s[step] = round(time.monotonic() - started, 1)
        if code not in expected:
            raise FinalError(
                f"the demo's step {step!r} ended with {code}: {' '.join(shown(command))}; see above for its own words"
            )

    @contextmanager
    def in_background(self, command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a command beside others; it is terminated when the block ends."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file, self._group(command, file) as process:
            yield process

    @contextmanager
    def _group(self, command: Sequence[str], output: IO[bytes] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
        """A process in a group of its own: DVC runs a stage through a shell, and a signal has to reach them all."""
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment(), stdout=output, stderr=output, process_group=0
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                _end_group(process)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM to a process and those it started, and SIGKILL to what is left after ``_STOP_S``."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _STOP_S
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        while time.monotonic() < deadline:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(_POLL_S)


def environment() -> dict[str, str]:
    """The caller's environment, with this interpreter's programs first: DVC finds ``serin`` and ``python`` by name."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def shown(command: Sequence[str]) -> list[str]:
    """A command as a person would type it."""
    return [c for c in command if c not in (sys.executable, "-m")]
