"""Memory that runs out: the micro-batch is halved, and the run ends as if nothing had been."""

import signal
from pathlib import Path
from typing import Any

import pytest

from serin.clients.files import read_json

from .attempts import Attempts, Blow
from .training import RUNS, TRAIN, Project, write_dataset

CALM = {**TRAIN, "lora": {"r": 4, "alpha": 8}, "neftune_alpha": None, "micro_batch_size": 4}
"""Without dropout and noise, whose draws depend on the shape of a micro-batch."""


@pytest.fixture
def project(base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path) -> Project:
    return Project(tmp_path / "project", base, tiny_dataset, attempts, train=CALM)


@pytest.fixture(scope="module")
def undisturbed(
    base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    project = Project(tmp_path_factory.mktemp("calm"), base, tiny_dataset, attempts, train=CALM)
    assert project.train().code == 0
    return project.result()[2]


def alike(log: dict[str, Any], expected: dict[str, Any]) -> None:
    """The same steps over the same tokens, and losses and gradients that differ by rounding alone."""
    assert [(s["step"], s["tokens"]) for s in log["steps"]] == [(s["step"], s["tokens"]) for s in expected["steps"]]
    for kind, fields in (("steps", ("loss", "grad_norm")), ("validations", ("loss",))):
        for found, wanted in zip(log[kind], expected[kind], strict=True):
            assert [found[f] for f in fields] == pytest.approx([wanted[f] for f in fields], rel=1e-4, abs=1e-5)


PLACES = {
    "forward": [Blow("serin.train.loop.step:target_nll", 6, None)],
    "backward": [Blow("torch:Tensor.backward", 6, None)],
    "the optimizer's first group": [Blow("torch:_fused_adamw_", 11, None)],
    "the optimizer's second group": [Blow("torch:_fused_adamw_", 12, None)],
    "an evaluation": [Blow("serin.lm.score:target_nll", 1, None)],
    "forward, twice": [Blow("serin.train.loop.step:target_nll", n, None) for n in (6, 7)],
}


@pytest.mark.parametrize("place", PLACES)
def test_the_run_goes_on_from_the_same_step_with_half_the_micro_batch(
    place: str, project: Project, undisturbed: dict[str, Any]
) -> None:
    ended = project.train(blows=PLACES[place])
    assert ended.code == 0, ended.output
    assert "the micro-batch is halved from 4 to 2 examples, a step still sees 4" in ended.output
    alike(project.result()[2], undisturbed)
    assert read_json(project.run_folder / "progress.json")["micro_batch_size"] == (1 if "twice" in place else 2)


def test_a_kill_after_it_resumes_with_the_halved_micro_batch(project: Project, undisturbed: dict[str, Any]) -> None:
    blows = [*PLACES["forward"], Blow("serin.train.loop.step:target_nll", 7, signal.SIGKILL)]
    assert project.train(blows=blows).code == -signal.SIGKILL
    ended = project.train()
    assert ended.code == 0, ended.output
    assert "halved" not in ended.output
    assert read_json(project.run_folder / "progress.json")["micro_batch_size"] == 2
    alike(project.result()[2], undisturbed)


def test_who_knows_of_a_kill_for_memory_can_say_so(project: Project, undisturbed: dict[str, Any]) -> None:
    kill = Blow("serin.train.loop.step:target_nll", 9, signal.SIGKILL)
    assert project.train(blows=[kill]).code == -signal.SIGKILL
    ended = project.train("--killed-for-memory")
    assert ended.code == 0, ended.output
    assert "killed for memory: the micro-batch is halved from 4 to 2" in ended.output
    alike(project.result()[2], undisturbed)


def test_one_example_that_does_not_fit_ends_the_run_with_advice(project: Project) -> None:
    blows = [Blow("serin.train.loop.step:target_nll", n, None) for n in (1, 2, 3)]
    ended = project.train(blows=blows)
    assert ended.code == 78
    assert "memory does not hold the step of one example: lower train.max_tokens" in ended.output


def test_a_cpu_that_really_runs_out_of_memory(base: Path, attempts: Attempts, tmp_path: Path) -> None:
    """Eager attention over 24 examples at once takes more than a gigabyte; the process may have less."""
    words = " ".join(f"rule {n}" for n in range(60))
    rows = [
        {
            "messages": [{"role": "user", "content": f"{i}? {words}"}, {"role": "assistant", "content": "Six."}],
            "meta": {"id": f"r{i}"},
        }
        for i in range(24)
    ]
    dataset = write_dataset(tmp_path / "dataset", train=rows)
    train = {**CALM, "max_tokens": 2048, "batch_size": 24, "micro_batch_size": 24, "attention": "eager", "max_steps": 1}
    project = Project(tmp_path / "project", base, dataset, attempts, train=train, runs=RUNS)
    ended = project.train(spare_bytes=1 << 30)
    assert ended.code == 0, ended.output
    assert "memory ran out in step 1: the micro-batch is halved from 24 to 12" in ended.output
