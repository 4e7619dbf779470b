"""The process in which the stage runs: what it prints is heard as it comes, and it gets the signals that the pod gets."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_CHUNK_BYTES = 1 << 16
_PIPE_LEFT_OPEN_S = 5.0


class Child:
    """One child process, in a process group of its own.

    Args:
        command: what to run.
        folder: where it runs.
        environment: all of it.
        hear: gets what it prints, standard output and error in the order they come, from another thread.
        codes: where the processes of torchrun leave their ids, if there are several.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        hear: Callable[[bytes], None],
        codes: Path,
    ) -> None:
        self.codes = codes
        self._hear = hear
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read, name="child-output", daemon=True)
        self._reader.start()

    def send(self, number: signal.Signals) -> None:
        """Pass a signal on, to each process of torchrun rather than to torchrun, which would not give them the time to save."""
        workers = [int(text) for path in self.codes.glob("*.pid") if (text := path.read_text())]
        for process in workers or [self._process.pid]:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue

    def wait(self) -> int:
        """Wait until it has ended and all that it printed is heard; its exit code, minus the signal that killed it."""
        code = self._process.wait()
        self._reader.join(_PIPE_LEFT_OPEN_S)  # what it started may live on and hold the pipe
        return code

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            while data := os.read(pipe.fileno(), _CHUNK_BYTES):
                self._hear(data)
