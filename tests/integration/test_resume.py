"""A run that is killed anywhere and started again ends with the bytes of one that was never killed.

NF4 weights, dropout, NEFTune's noise, two micro-batches a step, an evaluation at the last step of each epoch, and checkpoints
that fall on other steps and on the same ones.
"""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from serin.clients.files import read_json

from .attempts import Attempts, Blow
from .training import RUNS, STEPS, STEPS_PER_EPOCH, Project


@pytest.fixture(scope="module")
def undisturbed(
    base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, bytes, dict[str, Any]]:
    project = Project(tmp_path_factory.mktemp("undisturbed"), base, tiny_dataset, attempts)
    ended = project.train()
    assert ended.code == 0, ended.output
    return project.result()


@pytest.fixture
def project(base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path) -> Project:
    return Project(tmp_path / "project", base, tiny_dataset, attempts)


FORWARD = "serin.train.loop.step:target_nll"  # two a step
EVALUATION = "serin.lm.score:target_nll"  # one an evaluation: of the validation split's two records
SAVE_FILE = "serin.train.checkpoint.store:save_file"
PLACES = {
    "before the first step": Blow(FORWARD, 1, signal.SIGKILL),
    "in the middle of an epoch": Blow(FORWARD, 2 * 9 + 1, signal.SIGKILL),
    "between two micro-batches": Blow(FORWARD, 2 * 9 + 2, signal.SIGKILL),
    "in the update": Blow("torch:_fused_adamw_", 2 * 9, signal.SIGKILL),
    "in the last step of an epoch": Blow(FORWARD, 2 * STEPS_PER_EPOCH, signal.SIGKILL),
    "in the evaluation at an epoch's end": Blow(EVALUATION, 1, signal.SIGKILL),
    "after a later evaluation": Blow(EVALUATION, 2, signal.SIGKILL, before=False),
    "while the best weights are written": Blow(SAVE_FILE, 3, signal.SIGKILL, before=False),
    "while a checkpoint's weights are written": Blow(SAVE_FILE, 4, signal.SIGKILL, before=False),
    "before a checkpoint's manifest": Blow("serin.train.checkpoint.store:seal", 2, signal.SIGKILL),
    "before a checkpoint has its name": Blow("serin.train.checkpoint.store:_flush", 2, signal.SIGKILL, before=False),
    "while an old checkpoint is removed": Blow("serin.train.checkpoint.store:to_remove", 3, signal.SIGKILL),
    "before the output has its manifest": Blow("serin.train.stage:seal", 1, signal.SIGKILL),
    "after the output has its manifest": Blow("serin.train.stage:seal", 1, signal.SIGKILL, before=False),
}


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_and_run_again_it_ends_with_the_same_bytes(
    place: str, project: Project, undisturbed: tuple[str, bytes, dict[str, Any]]
) -> None:
    ended = project.train(blows=[PLACES[place]])
    assert ended.code == -signal.SIGKILL, ended.output
    assert not (project.folder / "adapter" / "manifest.json").exists()
    again = project.train()
    assert again.code == 0, again.output
    assert project.result() == undisturbed
    assert sorted(p.name for p in project.folder.glob("[.]*")) == []


def test_killed_again_and_again_it_ends_with_the_same_bytes(
    project: Project, undisturbed: tuple[str, bytes, dict[str, Any]]
) -> None:
    kills = 0
    while (ended := project.train(blows=[Blow(FORWARD, 2 * 5 + 2, signal.SIGKILL)])).code == -signal.SIGKILL:
        kills += 1
        assert kills < 10
    assert ended.code == 0, ended.output
    assert kills >= 2
    assert project.result() == undisturbed


def test_a_restart_loses_no_more_than_the_steps_since_the_last_checkpoint(project: Project) -> None:
    project.train(blows=[Blow(FORWARD, 2 * 9 + 1, signal.SIGKILL)])
    ended = project.train()
    assert "going on from step 8 of 14 (attempt 2)" in ended.output
    progress = read_json(project.run_folder / "progress.json")
    assert (progress["phase"], progress["step"], progress["attempt"]) == ("finished", 14, 2)


def test_workers_that_render_change_nothing_and_die_with_their_parent(
    base: Path, tiny_dataset: Path, attempts: Attempts, tmp_path: Path, undisturbed: tuple[str, bytes, dict[str, Any]]
) -> None:
    project = Project(tmp_path / "p", base, tiny_dataset, attempts, runs={**RUNS, "loader_workers": 2})
    ended = project.train(blows=[Blow(FORWARD, 2 * 9 + 2, signal.SIGKILL)])
    assert ended.code == -signal.SIGKILL, ended.output
    assert project.train().code == 0
    assert project.result() == undisturbed


SIGNALLED = {
    "in a step": Blow(FORWARD, 2 * 9 + 2, signal.SIGTERM),
    "in an evaluation": Blow(EVALUATION, 1, signal.SIGTERM),
    "in a save": Blow(SAVE_FILE, 4, signal.SIGTERM),
    "in the update": Blow("torch:_fused_adamw_", 2 * 9, signal.SIGTERM),
}


@pytest.mark.parametrize("place", SIGNALLED)
def test_sigterm_saves_and_exits_75_and_the_next_start_goes_on(
    place: str, project: Project, undisturbed: tuple[str, bytes, dict[str, Any]]
) -> None:
    ended = project.train(blows=[SIGNALLED[place]])
    assert ended.code == 75, ended.output
    assert "which is saved: run again to go on" in ended.output
    assert not (project.folder / "adapter").exists()
    assert read_json(project.run_folder / "progress.json")["phase"] == "preempted"
    step = max(int(path.name.removeprefix("step-")) for path in project.run_folder.glob("step-*"))
    again = project.train()
    assert f"going on from step {step} of {STEPS}" in again.output
    assert project.result() == undisturbed


def test_sigterm_before_anything_new_exits_1(project: Project) -> None:
    ended = project.train(blows=[Blow(FORWARD, 1, signal.SIGTERM)])
    assert ended.code == 1
    assert "before anything new could be saved" in ended.output


def test_a_full_disk_costs_a_checkpoint_and_no_run_and_sigterm_tries_again(
    project: Project, undisturbed: tuple[str, bytes, dict[str, Any]]
) -> None:
    full = Blow(SAVE_FILE, 1, None, full_disk=True)
    ended = project.train(blows=[full, Blow(FORWARD, 2 * 4 + 1, signal.SIGTERM)])
    assert ended.code == 75, ended.output
    assert "no checkpoint of step 4" in ended.output
    assert [path.parent.name for path in project.run_folder.glob("step-*/manifest.json")] == ["step-00000004"]
    assert project.train().code == 0
    assert project.result() == undisturbed


def test_a_finished_run_is_not_trained_again_unless_it_is_asked_for(
    project: Project, undisturbed: tuple[str, bytes, dict[str, Any]]
) -> None:
    assert project.train().code == 0
    shutil.rmtree(project.folder / "adapter")
    never = [Blow(FORWARD, 1, signal.SIGKILL)]
    assert project.train(blows=never).code == 0
    assert project.result() == undisturbed
    assert project.train("--fresh", blows=never).code == -signal.SIGKILL


def test_the_best_weights_are_chosen_though_later_ones_were_worse(
    undisturbed: tuple[str, bytes, dict[str, Any]],
) -> None:
    validations = undisturbed[2]["validations"]
    assert [v["step"] for v in validations] == [6, 12, 14]
    assert json.dumps(validations)


def test_a_corrupt_checkpoint_is_passed_over(project: Project, undisturbed: tuple[str, bytes, dict[str, Any]]) -> None:
    project.train(blows=[Blow(FORWARD, 2 * 9 + 1, signal.SIGKILL)])
    weights = project.run_folder / "step-00000008" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    ended = project.train()
    assert ended.code == 0
    assert "step-00000008 is not used" in ended.output
    assert "going on from step 4 of 14" in ended.output
    assert project.result() == undisturbed
