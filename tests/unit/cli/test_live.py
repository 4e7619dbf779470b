"""``serin job follow`` on a real terminal, as far as one is its bytes."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from serin.clients.kubernetes.kinds import FINE_TUNES

from ...cluster.standin import StandIn
from .test_job import Shell

_LIMIT_S = 90.0


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("NO_PROXY", ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])))
    monkeypatch.chdir(tmp_path)
    with StandIn(auto=False) as standin:
        shell = Shell(standin, tmp_path)
        shell.serin("submit", "-f", str(shell.manifest()))
        yield shell


class Terminal:
    """A process whose standard error is a terminal."""

    def __init__(self, shell: Shell, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.seen = ""
        environment = {**os.environ, **shell.environment, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serin", *arguments], env=environment, stderr=slave, stdout=subprocess.DEVNULL
        )
        os.close(slave)

    def until(self, words: str) -> None:
        """Read until something has been shown."""
        end = time.monotonic() + _LIMIT_S
        while words not in self.seen:
            assert time.monotonic() < end, self.seen
            self._read()

    def end(self) -> int:
        """Read to the end; the exit code."""
        end = time.monotonic() + _LIMIT_S
        try:
            while time.monotonic() < end:
                self._read()
            raise AssertionError(self.seen)
        except EOFError:
            os.close(self._master)
            return self.process.wait(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        try:
            data = os.read(self._master, 1 << 16)
        except OSError as error:  # Linux's word for a terminal that nobody has open any more
            raise EOFError(self.seen) from error
        if not data:
            raise EOFError(self.seen)
        self.seen += data.decode(errors="replace")


def test_a_bar_shows_step_loss_speed_and_time_left_and_is_gone_at_the_end(shell: Shell) -> None:
    attempt = {"pod": "law-train-1", "node": "node-1", "started": "2026-03-01T12:00:00Z"}
    stages = [{"name": "train", "state": "Running", "attempts": [attempt]}]
    shell.report(
        phase="Running", stage="train", stages=stages, step=40, steps=400, loss=1.25, tokensPerS=812.5, secondsLeft=61.0
    )
    with Terminal(shell, "job", "follow", "law") as terminal:
        terminal.until("running, attempt 1, law-train-1 on node-1")
        assert "train: running (attempt 1, law-train-1)" in terminal.seen
        assert "40/400 loss 1.250, 812 tokens/s, 1m01s left" in terminal.seen
        failed = {
            "type": "Failed",
            "status": "True",
            "reason": "BadConfig",
            "message": "[r] = 0",
            "lastTransitionTime": "2026-03-01T12:00:00Z",
        }
        shell.report(phase="Failed", exitCode=78, conditions=[failed])
        assert terminal.end() == 78
        assert "law failed: BadConfig: [r] = 0; 'serin job logs law' has what it printed" in terminal.seen
        assert terminal.seen.rstrip().endswith("has what it printed")
        assert "\x1b[?25h" in terminal.seen  # the cursor is back


def test_what_it_waits_for_is_shown(shell: Shell) -> None:
    waits = {
        "type": "Running",
        "status": "False",
        "reason": "Unschedulable",
        "message": "8 nodes are short of nvidia.com/gpu",
        "lastTransitionTime": "2026-03-01T12:00:00Z",
    }
    shell.report(phase="Pending", stage="train", conditions=[waits])
    with Terminal(shell, "job", "follow", "law") as terminal:
        terminal.until(": pending, not running: Unschedulable: 8 nodes are short of nvidia.com/gpu")
        shell.cluster.delete(FINE_TUNES, "law")
        assert terminal.end() == 1
        assert "was deleted in serin while it was followed" in terminal.seen
