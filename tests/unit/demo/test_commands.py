import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serin.core.errors import FinalError
from serin.demo.commands import Commands


def test_a_failed_step_is_named_with_its_command_and_code(tmp_path: Path) -> None:
    with pytest.raises(FinalError, match=r"step 'broken' ended with 7: -c raise SystemExit\(7\)"):
        Commands(tmp_path).run("broken", [sys.executable, "-c", "raise SystemExit(7)"])


def test_a_step_gets_its_time_and_may_end_as_expected(tmp_path: Path) -> None:
    commands = Commands(tmp_path)
    commands.run("gate", [sys.executable, "-c", "raise SystemExit(3)"], expected=(0, 3))
    assert commands.timings_s["gate"] >= 0


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_step_is_ended_with_what_it_started_and_may_clean_up(
    asked: signal.Signals, tmp_path: Path
) -> None:
    """The step is a shell that runs a worker, as DVC runs a stage; the worker needs a moment to unwind."""
    worker = (
        "import signal, sys, time, pathlib, os\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
        "pathlib.Path('pid.part').write_text(str(os.getpid()))\n"
        "os.replace('pid.part', 'pid')\n"
        "try:\n    time.sleep(300)\nfinally:\n    time.sleep(0.5)\n    pathlib.Path('unwound').touch()\n"
    )
    (tmp_path / "worker.py").write_text(worker)
    driver = (
        "import pathlib\nfrom serin.cli import main\nimport click, serin.cli\n"
        "from serin.demo.commands import Commands\n"
        f"command = click.Command('x', callback=lambda: Commands(pathlib.Path({str(tmp_path)!r})).run("
        f"'step', ['sh', '-c', '{sys.executable} worker.py; true']))\n"
        "serin.cli.cli.get_command = lambda *_: command\nmain(['x'])\n"
    )
    command = [sys.executable, "-c", driver]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            deadline = time.monotonic() + 20
            while not (tmp_path / "pid").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            child.send_signal(asked)
            assert child.wait(timeout=20) == (1 if asked == signal.SIGTERM else 130)
        finally:
            child.kill()
    assert (tmp_path / "unwound").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
