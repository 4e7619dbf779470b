"""A full disk, and signals in the middle of a stage: the command says so, and leaves nothing that looks complete.

A file-size limit of the process stands for the full disk: the kernel refuses the same write, with another number.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from serin.clients.files import write_jsonl

from .attempts import Attempts

LIMIT_BLOCKS = 16
"""Of 512 bytes: manifests and params fit, data and weights do not."""


@pytest.fixture
def project(tiny_base: Path, base: Path, tmp_path: Path) -> Path:
    """A folder with data, params and a verified base; ``tmp`` takes every temporary file."""
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"How long is rule {n} of the {place}?"},
                {"role": "assistant", "content": f"Rule {n} of the {place} lasts {n + 2} months."},
            ]
        }
        for n in range(12)
        for place in ("garden", "harbour", "bakery", "ferry")
    ]
    (tmp_path / "raw").mkdir()
    write_jsonl(tmp_path / "raw" / "rows.jsonl", rows)
    params = {
        "base": {"model": str(tiny_base)},
        "prepare": {"sources": ["raw"]},
        "train": {"epochs": 500},
        "evaluate": {"max_new_tokens": 8},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "tmp").mkdir()
    shutil.copytree(base, tmp_path / "artifacts/base")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder / "tmp")}


def serin(folder: Path, *arguments: str, limited: bool = False) -> "subprocess.CompletedProcess[str]":
    limit = f"ulimit -f {LIMIT_BLOCKS}; " if limited else ""
    command = ["sh", "-c", f'{limit}exec "$@"', "sh", sys.executable, "-m", "serin", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=300
    )


def left_over(folder: Path) -> list[str]:
    """Scratch files and folders that nobody will ever read."""
    return [str(p) for p in (*(folder / "tmp").iterdir(), *(folder / "artifacts").glob(".*"))]


def test_a_full_disk_in_prepare_is_said_and_nothing_is_kept(project: Path) -> None:
    done = serin(project, "prepare", limited=True)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "artifacts/dataset").exists()
    assert left_over(project) == []


def test_a_full_disk_in_train_and_merge_is_said_and_the_same_command_works_later(
    project: Path, attempts: Attempts
) -> None:
    assert attempts.run(project, "prepare").code == 0
    path = project / "params.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "train": {"epochs": 1}}))
    full = serin(project, "train", limited=True)
    assert full.returncode == 1
    assert "could not be written" in full.stderr
    assert "free some space" in full.stderr
    assert "Traceback" not in full.stderr
    assert not (project / "artifacts/adapter").exists()
    assert left_over(project) == []
    assert attempts.run(project, "train").code == 0
    full = serin(project, "merge", limited=True)
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert not (project / "artifacts/merged").exists()
    assert left_over(project) == []
    assert attempts.run(project, "merge").code == 0


@pytest.mark.parametrize(("asked", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_in_the_middle_of_training_saves_and_leaves_nothing_else(
    project: Path, asked: signal.Signals, code: int, tmp_path: Path, attempts: Attempts
) -> None:
    assert attempts.run(project, "prepare").code == 0
    command = [sys.executable, "-m", "serin", "train"]
    runs = tmp_path / "runs"
    environment_of_child = {**environment(project), "SERIN_RUNS": str(runs)}
    with subprocess.Popen(command, cwd=project, env=environment_of_child, stderr=subprocess.PIPE, text=True) as child:
        try:
            deadline = time.monotonic() + 180
            while not any('"phase": "training"' in p.read_text() for p in runs.glob("*/progress.json")):
                assert child.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            time.sleep(1.0)
            child.send_signal(asked)
            _, said = child.communicate(timeout=120)
        finally:
            child.kill()
    assert child.returncode == code, said
    assert "stopped" in said
    assert "run again to go on" in said
    assert len(list(runs.glob("*/step-*/manifest.json"))) == 1
    assert not (project / "artifacts/adapter").exists()
    assert left_over(project) == []
