"""One of torchrun's processes: it leaves its id and its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["no-such-verb"], 2), (["train", "--params", "x"], 78)]
)
def test_it_is_serin_and_leaves_how_it_ended(arguments: list[str], code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serin.task.process", str(tmp_path), *arguments],
        env={**os.environ, "LOCAL_RANK": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert (tmp_path / "3.code").read_text() == str(code)
    assert (tmp_path / "3.pid").read_text().isdecimal()
    assert ("Usage: serin" in done.stdout) == (arguments == ["--help"])
