"""The set-up script refuses a machine that cannot work, at once and with what to do."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def set_up(folder: Path, **programs: str) -> "subprocess.CompletedProcess[str]":
    """Run a copy of the script where some programs of the machine are others."""
    (folder / "scripts").mkdir()
    (folder / "scripts/setup.sh").write_bytes((ROOT / "scripts/setup.sh").read_bytes())
    (folder / "bin").mkdir()
    for name, body in programs.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / "bin" / name).chmod(0o755)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "scripts/setup.sh"], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )


@pytest.mark.parametrize("system", ["Darwin", "MINGW64_NT-10.0"])
def test_a_system_without_wheels_is_named_with_the_container_to_use(system: str, tmp_path: Path) -> None:
    done = set_up(tmp_path, uname=f"echo {system}")
    assert done.returncode == 78
    assert f"this is {system}" in done.stderr
    assert "docker run" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    old = dict.fromkeys(("python3.11", "python3.12", "python3"), "exit 1")
    done = set_up(tmp_path, **old)
    assert done.returncode == 78
    assert "found no Python 3.11 or 3.12" in done.stderr
    assert not (tmp_path / ".venv").exists()
