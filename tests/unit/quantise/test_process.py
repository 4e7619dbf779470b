"""The other environment's process is watched, explained and ended. Programs of the test's own stand in for its Python."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from serin.core.errors import FinalError
from serin.quantise.process import Job, Tell, compress, explain, step_in


def python(folder: Path, body: str) -> Path:
    """A program that is called as Python would be, with ``job`` set to the job's path."""
    program = folder / "python"
    program.write_text(f'#!/bin/sh\njob="$3"\n{body}\n')
    program.chmod(0o755)
    return program


def job(folder: Path) -> Job:
    return Job("model", str(folder / "made"), str(folder / "versions.json"), [("round", {})], [[1, 2]])


def run(folder: Path, body: str, tell: Tell = lambda *_: None) -> dict[str, str]:
    return compress(python(folder, body), job(folder), folder, os.environ, tell)


def test_versions_come_back_and_the_job_reaches_the_process(tmp_path: Path) -> None:
    body = f"""cp "$job" {tmp_path}/seen && echo '{{"torch": "2.13.0"}}' > {tmp_path}/versions.json"""
    assert run(tmp_path, body) == {"torch": "2.13.0"}
    assert '"calibration"' in (tmp_path / "seen").read_text()


def test_a_failure_shows_the_end_of_what_was_said(tmp_path: Path) -> None:
    with pytest.raises(FinalError, match=r"exit code 1; nothing was kept.*\n(.*\n)*  ValueError: no such layer"):
        run(tmp_path, "for i in 1 2 3 4 5 6; do echo line $i; done; echo 'ValueError: no such layer' >&2; exit 1")


def test_a_kill_is_told_from_a_failure(tmp_path: Path) -> None:
    with pytest.raises(FinalError, match="killed by SIGKILL, as the system does where memory runs out"):
        run(tmp_path, "kill -9 $$")
    assert "SIGSEGV" in explain(-signal.SIGSEGV, "")


def test_layers_are_told_of_once_each(tmp_path: Path) -> None:
    steps: list[tuple[int, int, str]] = []
    body = f"""printf '\\r(1/2): Calibrating: 50%%'; sleep 1.6; printf '\\r(2/2): Propagating: 1%%'; sleep 1
        echo '{{}}' > {tmp_path}/versions.json"""
    run(tmp_path, body, lambda *step: steps.append(step))
    assert steps == [(1, 2, "calibrating"), (2, 2, "propagating")]


def test_nothing_is_told_before_the_first_layer() -> None:
    assert step_in("Loading weights: 100%| 45/45") is None


PARENT = """
import os, sys
from pathlib import Path
from serin.quantise.process import Job, compress
python, folder = Path(sys.argv[1]), Path(sys.argv[2])
compress(python, Job("m", "o", str(folder / "v"), [], []), folder, os.environ, lambda *_: None)
"""


@pytest.mark.parametrize(
    ("blow", "body"),
    [
        (signal.SIGINT, "exec sleep 60"),
        (signal.SIGKILL, "exec cat"),  # it ends with its standard input, as oneshot.py does
    ],
)
def test_the_process_ends_with_the_one_that_started_it(blow: signal.Signals, body: str, tmp_path: Path) -> None:
    program = python(tmp_path, f'echo $$ > "{tmp_path}/pid.new"; mv "{tmp_path}/pid.new" "{tmp_path}/pid"; {body}')
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(program), str(tmp_path)], stderr=subprocess.DEVNULL, env=os.environ
    )
    wait_for(lambda: (tmp_path / "pid").is_file())
    child = int((tmp_path / "pid").read_text())
    time.sleep(0.3)
    assert is_running(child)
    parent.send_signal(blow)
    assert parent.wait(20) != 0
    wait_for(lambda: not is_running(child))


def wait_for(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
