"""Commands that begin with everything imported, for tests that start dozens: importing torch and its friends takes ten seconds.

``Warm.popen`` and ``Warm.run`` stand for ``subprocess.Popen`` and ``subprocess.run``. A program that ``read_command`` knows
begins as a fork of a process that has imported what it needs and has computed nothing, and so do the programs that it starts
itself; everything else starts as always. What imports read of the environment they have read before: where a test is about that,
it starts a new interpreter.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .forking import ForkingPopen
from .process import Program, Streams
from .server import LENGTH

ROOT = Path(__file__).parents[2]


class Warm:
    """The process that forks; ``close`` ends it, and commands should have ended."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        self._ordering = threading.Lock()
        with theirs:
            command = [sys.executable, "-m", f"{__package__}.server"]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            self._server = subprocess.Popen(command, stdin=theirs, cwd=ROOT, env=environment)

    def popen(self, command: Any, **options: Any) -> "subprocess.Popen[Any]":
        """As ``subprocess.Popen``."""
        return _Forked(self, command, **options)

    def run(self, command: Any, timeout: float | None = None, **options: Any) -> "subprocess.CompletedProcess[Any]":
        """As ``subprocess.run`` with ``capture_output`` and without ``check``."""
        with self.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def fork(self, program: Program, streams: Streams) -> tuple[int, socket.socket]:
        """The process, and where the server will say how it ended."""
        ours, theirs = socket.socketpair()
        body = json.dumps(asdict(program)).encode()
        with self._ordering, theirs:
            socket.send_fds(self._orders, [LENGTH.pack(len(body))], [*streams, theirs.fileno()])
            self._orders.sendall(body)
        return _number(ours.recv(LENGTH.size, socket.MSG_WAITALL)), ours

    def close(self) -> None:
        self._orders.close()
        self._server.wait(60)


class _Forked(ForkingPopen):
    """``before`` and ``told``: of ``Program``."""

    def __init__(self, warm: Warm, command: Any, before: str | None = None, told: Any = None, **options: Any) -> None:
        self._warm, self._before = warm, (before, told)
        self._told: socket.socket | None = None
        super().__init__(command, **options)
        assert before is None or self._told is not None, (
            f"{command} starts a new interpreter, and nothing comes before that"
        )

    def _fork(self, program: Program, streams: Streams) -> int:
        before, told = self._before
        process, self._told = self._warm.fork(replace(program, before=before, told=told), streams)
        return process

    def _internal_poll(self, *more: Any, **others: Any) -> int | None:
        if self._told is None:
            return super()._internal_poll(*more, **others)  # type: ignore[misc,no-any-return]
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):  # type: ignore[attr-defined]
            try:
                process, status = self._try_wait(os.WNOHANG)
                if process:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._told is None:
            return super()._try_wait(wait_flags)  # type: ignore[misc,no-any-return]
        try:
            data = self._told.recv(LENGTH.size, socket.MSG_DONTWAIT if wait_flags else socket.MSG_WAITALL)
        except BlockingIOError:
            return 0, 0
        self._told.close()
        return self.pid, _number(data)


def _number(data: bytes) -> int:
    assert len(data) == LENGTH.size, "the process that forks has ended"
    return int(LENGTH.unpack(data)[0])
