"""Two processes by torchrun (gloo, on the CPU) learn what one does, and neither waits for ever for the other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from serin.clients.files import read_json

from . import struck
from .attempts import Attempts, Blow
from .test_memory import CALM, alike
from .training import RUNS, Project

SLOW = {**CALM, "learning_rate": 0.005}
"""At a higher rate, what rounding makes different after a dozen steps is larger than what an error would."""

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]


def start(project: Project, blow: Blow | None = None) -> "subprocess.Popen[str]":
    """Two processes; ``blow`` falls in the second one."""
    command = [
        *(*TORCHRUN, "--rdzv-endpoint", "127.0.0.1:0", "-m", "serin"),
        *("train", "--base", "base", "--dataset", str(project.dataset), "--out", "adapter"),
    ]
    environment = {**os.environ, "SERIN_RUNS": str(project.folder / "runs"), "OMP_NUM_THREADS": "1"}
    falling: dict[str, Any] = {} if blow is None else {"before": f"{struck.__name__}:prepare", "told": asdict(blow)}
    return project.attempts.warm.popen(
        command, cwd=project.folder, env=environment, stderr=subprocess.PIPE, text=True, **falling
    )


@pytest.fixture(scope="module")
def alone(base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("alone"), base, tiny_dataset, attempts, train=SLOW)
    assert project.train().code == 0
    return project


@pytest.fixture
def project(base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path) -> Iterator[Project]:
    return Project(tmp_path / "two", base, tiny_dataset, attempts, train=SLOW)


def test_two_processes_learn_what_one_does(project: Project, alone: Project) -> None:
    with start(project) as both:
        _, said = both.communicate(timeout=300)
    assert both.returncode == 0, said
    alike(project.result()[2], alone.result()[2])
    ours, theirs = (load_file(p.folder / "adapter" / "adapter_model.safetensors") for p in (project, alone))
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < 1e-3


@pytest.mark.parametrize("method", ["qlora", "full"])
def test_a_model_in_parts_learns_what_a_whole_one_does(
    method: str, base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path
) -> None:
    """FSDP over Gloo, NF4 weights included; checkpoints and the output are whole."""
    train = {**SLOW, "method": method}
    alone = Project(tmp_path / "alone", base, tiny_dataset, attempts, train=train)
    assert alone.train().code == 0
    parts = Project(tmp_path / "parts", base, tiny_dataset, attempts, train=train, runs={**RUNS, "sharded": True})
    with start(parts) as both:
        _, said = both.communicate(timeout=300)
    assert both.returncode == 0, said
    logs = [read_json(p.folder / "adapter" / "log.json") for p in (parts, alone)]
    alike(*logs)
    name = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    ours, theirs = (load_file(p.folder / "adapter" / name) for p in (parts, alone))
    assert ours.keys() == theirs.keys()
    assert max(float((ours[key] - theirs[key]).abs().max()) for key in theirs) < 1e-3
    if method == "full":
        configs = [read_json(p.folder / "adapter" / "config.json") for p in (parts, alone)]
        assert configs[0] == configs[1]


def test_a_model_in_parts_goes_on_with_fewer_examples_after_memory_ran_out(
    base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path, alone: Project
) -> None:
    """In one of the two processes; a step sees as many examples as before."""
    parts = Project(tmp_path / "parts", base, tiny_dataset, attempts, train=SLOW, runs={**RUNS, "sharded": True})
    with start(parts, Blow("serin.train.loop.step:target_nll", 12, None)) as both:
        _, said = both.communicate(timeout=300)
    assert both.returncode != 0
    assert "run the command again; it goes on from the newest checkpoint, with 2 instead of 4 examples at once" in said
    with start(parts) as both:
        _, said = both.communicate(timeout=300)
    assert both.returncode == 0, said
    assert "going on from step 8 of 14" in said
    alike(parts.result()[2], alone.result()[2])


def test_both_stop_where_one_is_told_to_and_one_alone_can_go_on(project: Project) -> None:
    (project.folder / "params.yaml").write_text(
        (project.folder / "params.yaml").read_text().replace("max_steps: 14", "max_steps: 4000")
    )
    with start(project) as both:
        try:
            progress = wait_for_training(project)
            workers = children_of(both.pid)
            assert len(workers) == 2
            os.kill(workers[1], signal.SIGTERM)
            _, said = both.communicate(timeout=180)
        finally:
            both.kill()
    assert "which is saved: run again to go on" in said
    assert read_json(progress)["phase"] == "preempted"
    step = max(int(path.name.removeprefix("step-")) for path in project.run_folder.glob("step-*"))
    stopped_again = project.train(blows=[Blow("serin.train.loop.step:target_nll", 3, signal.SIGTERM)])
    assert f"going on from step {step} of 4000" in stopped_again.output


def test_a_process_that_is_killed_takes_the_other_with_it(project: Project) -> None:
    (project.folder / "params.yaml").write_text(
        (project.folder / "params.yaml").read_text().replace("max_steps: 14", "max_steps: 4000")
    )
    with start(project) as both:
        try:
            wait_for_training(project)
            workers = children_of(both.pid)
            os.kill(workers[1], signal.SIGKILL)
            _, said = both.communicate(timeout=180)
        finally:
            both.kill()
    assert both.returncode != 0
    told = ("does not hear from another one, which has failed or hangs", "stopped by SIGTERM")  # whichever comes first
    assert any(words in said for words in told), said
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert not (project.folder / "adapter").exists()


def wait_for_training(project: Project) -> Path:
    deadline = time.monotonic() + 240
    while not (
        found := [p for p in (project.folder / "runs").glob("*/progress.json") if '"training"' in p.read_text()]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1.5)
    return found[0]


def children_of(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return sorted(int(child) for child in text.split())
