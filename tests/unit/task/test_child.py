"""The process of the stage: heard as it prints, reached by signals."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serin.task.child import Child


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., tuple[Child, bytearray, threading.Event]]:
    """Starts a program; gives the child, what it has printed, and an event that its first output sets."""
    (tmp_path / "codes").mkdir()

    def start(program: str) -> tuple[Child, bytearray, threading.Event]:
        printed, heard = bytearray(), threading.Event()

        def hear(data: bytes) -> None:
            printed.extend(data)
            heard.set()

        environment = {**os.environ, "TOLD": "so"}
        return Child([sys.executable, "-c", program], tmp_path, environment, hear, tmp_path / "codes"), printed, heard

    return start


def test_both_outputs_come_in_order_and_the_code_is_its_own(
    start: Callable[..., tuple[Child, bytearray, object]],
) -> None:
    child, printed, _ = start(
        "import os, sys\n"
        "os.write(1, b'one '); os.write(2, b'two '); os.write(1, os.environ['TOLD'].encode() + b'\\xff')\n"
        "sys.exit(78)"
    )
    assert child.wait() == 78
    assert bytes(printed) == b"one two so\xff"


def test_output_is_heard_while_it_runs_and_a_signal_ends_it(
    start: Callable[..., tuple[Child, bytearray, threading.Event]],
) -> None:
    child, printed, heard = start("import time\nprint('here', flush=True)\ntime.sleep(600)")
    assert heard.wait(60)
    assert printed.startswith(b"here")
    child.send(signal.SIGTERM)
    assert child.wait() == -signal.SIGTERM
    child.send(signal.SIGTERM)  # it is gone: no fault


def test_a_signal_goes_to_the_processes_that_torchrun_started_and_not_to_it(
    start: Callable[..., tuple[Child, bytearray, threading.Event]],
) -> None:
    worker = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    launcher = (
        "import pathlib, signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        f"worker = subprocess.Popen([sys.executable, '-c', {worker!r}])\n"
        "pathlib.Path('codes/0.pid').write_text(str(worker.pid))\n"
        "sys.exit(100 + worker.wait() if worker.wait() == 75 else 1)"
    )
    child, _, heard = start(launcher)
    assert heard.wait(60)
    child.send(signal.SIGTERM)
    assert child.wait() == 175


def test_what_the_stage_leaves_running_does_not_hold_the_pod(
    start: Callable[..., tuple[Child, bytearray, threading.Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serin.task.child._PIPE_LEFT_OPEN_S", 0.2)
    child, printed, heard = start(
        "import subprocess, sys\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(left.pid, flush=True)"
    )
    begun = time.monotonic()
    assert child.wait() == 0
    assert time.monotonic() - begun < 300
    assert heard.wait(1)
    os.kill(int(printed), signal.SIGKILL)
