"""The commands of an experiment, with no gateway running: what is stored, what the weights become, and what is said."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from serin.cli.experiment import command
from serin.clients.serving_state import Declared, FolderState, RevisionStatus
from serin.core.errors import ServingError, UsageError
from serin.core.params import RolloutParams
from serin.rollout.loop import LocalRollouts
from serin.rollout.start import begin

STABLE, X, Y = ("law@" + digit * 64 for digit in "a12")


class Machine:
    """Three revisions that are ready."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.serving = FolderState(folder / "serve")
        for name in (STABLE, X, Y):
            self.serving.change_topology(lambda present, name=name: present.with_revision(name, Declared("models")))  # type: ignore[misc]
        self.serving.write_status({name: RevisionStatus("ready") for name in (STABLE, X, Y)})
        self.serving.change_weights(lambda present: replace(present, stable=STABLE))

    def serin(self, *arguments: str) -> Result:
        """``serin experiment`` with these arguments."""
        places = ["--experiments", str(self.folder / "experiments"), "--state", str(self.serving.folder)]
        if arguments[0] == "start":
            places += ["--params", str(self.folder / "params.yaml")]
            (self.folder / "params.yaml").write_text("experiment: {alpha: 0.1}\n")
        return CliRunner().invoke(command, [*arguments, *places], catch_exceptions=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_shares_become_the_weights_and_the_status_tells_them(machine: Machine) -> None:
    said = machine.serin("start", "law@11111111=0.2", "law@22222222=0.3").output
    weights = machine.serving.weights()
    assert (weights.variants, weights.stable, weights.salt) == ({X: 0.2, Y: 0.3}, STABLE, weights.experiment)
    assert f"experiment {weights.experiment} has started" in said
    assert "goes on" in machine.serin("start", "law@11111111=0.2", "law@22222222=0.3").output
    view = json.loads(machine.serin("status", "--output", "json").output)
    assert [(arm["revision"], arm["share"]) for arm in view["arms"]] == [(STABLE, 0.5), (X, 0.2), (Y, 0.3)]
    assert (view["phase"], view["alpha"], view["units"]) == ("warming up", 0.1, 0)
    assert "No winner yet" in machine.serin("status").output


def test_stop_sends_everybody_back_and_names_the_command_for_the_winner(machine: Machine) -> None:
    machine.serin("start", X, Y)
    assert machine.serin("stop", "--winner", "law@22222222").exit_code == 2
    with pytest.raises(UsageError, match="is no variant of"):
        machine.serin("stop", "--winner", STABLE, "--reason", "why not")
    said = machine.serin("stop", "--winner", "law@22222222", "--reason", "cheaper", "--by", "eva").output
    assert f"serin rollout start {Y}" in said
    assert "stopped by eva: cheaper" in said
    weights = machine.serving.weights()
    assert (weights.stable, weights.experiment, weights.variants) == (STABLE, None, {})
    assert "(as before)" in machine.serin("stop", "--winner", Y, "--reason", "again").output


def test_a_stop_that_was_stored_and_not_applied_is_applied_by_whoever_looks(machine: Machine) -> None:
    machine.serin("start", X, Y)
    before = machine.serving.weights()
    machine.serin("stop")
    machine.serving.change_weights(lambda _: before)
    machine.serin("status")
    assert machine.serving.weights().experiment is None


def test_what_cannot_be_compared_is_refused_before_anything_changes(machine: Machine) -> None:
    before = machine.serving.weights()
    with pytest.raises(ServingError, match="is not deployed"):
        machine.serin("start", "law@33333333")
    with pytest.raises(UsageError, match="is stable, which takes part"):
        machine.serin("start", STABLE, X)
    with pytest.raises(UsageError, match="the same revision"):
        machine.serin("start", X, "law@11111111")
    assert machine.serving.weights() == before
    with pytest.raises(UsageError, match="there is no experiment yet"):
        machine.serin("status")


def test_a_rollout_and_an_experiment_refuse_each_other(machine: Machine) -> None:
    machine.serin("start", X)
    rollouts = LocalRollouts(machine.folder / "rollouts")
    with pytest.raises(UsageError, match="'serin experiment stop' first"):
        begin(Y, RolloutParams(), machine.serving, rollouts, "eva", 1.0)
    with pytest.raises(UsageError, match="is running: end it with 'serin experiment stop'"):
        machine.serin("start", X, Y)
    machine.serin("stop")
    begin(Y, RolloutParams(), machine.serving, rollouts, "eva", 1.0)
    with pytest.raises(UsageError, match="'serin rollout abort'"):
        machine.serin("start", X)
    assert machine.serving.weights().canary == Y
    assert len(list((machine.folder / "experiments/ids").iterdir())) == 1


def test_the_report_is_written_where_it_is_wanted(machine: Machine, tmp_path: Path) -> None:
    machine.serin("start", X)
    said = machine.serin("report", "--out", str(tmp_path / "page.html")).output
    assert Path(said.strip()).read_text().startswith("<!doctype html>")
