"""Running Serin's own commands as a user would, with their output kept and their time taken."""

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from serin.core.errors import FinalError


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
        """Run a step in the foreground. Raises FinalError with the command where it ends with an unexpected code."""
        print(f"\n── {step}: {' '.join(shown(command))}", flush=True)
        started = time.monotonic()
        done = subprocess.run(command, cwd=self.folder, env=environment(), check=False)
        self.timings_s[step] = round(time.monotonic() - started, 1)
        if done.returncode not in expected:
            raise FinalError(
                f"the demo's step {step!r} ended with {done.returncode}: {' '.join(shown(command))}; see above for its own words"
            )

    @contextmanager
    def in_background(self, command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a command beside others; it is terminated when the block ends."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            process = subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=file, stderr=file)
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(timeout=20)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()


def environment() -> dict[str, str]:
    """The caller's environment, with this interpreter's programs first: DVC finds ``serin`` and ``python`` by name."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def shown(command: Sequence[str]) -> list[str]:
    """A command as a person would type it."""
    return [c for c in command if c not in (sys.executable, "-m")]
