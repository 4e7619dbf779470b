"""Rollouts by hand, with no gateway running: what is stored, what the weights become, and what the commands say."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from serin.cli.rollout import command
from serin.clients.serving_state import FolderState
from serin.core.errors import UsageError
from serin.core.params import RolloutParams
from serin.core.resources.rollout import ModelRolloutSpec
from serin.rollout.loop import LocalRollouts
from serin.rollout.state import new_rollout
from serin.rollout.store import Step

EXAMPLE = Path(__file__).parents[3] / "examples/kubernetes/modelrollout.yaml"
PATCH = re.compile(r"kubectl patch mro \S+ --type merge -p '(.*)'$", re.MULTILINE)
STABLE, CANARY = "law@" + "a" * 64, "law@" + "b" * 64


class Machine:
    """A rollout whose loop is gone, holding the weights."""

    def __init__(self, folder: Path) -> None:
        self.rollouts, self.state = folder / "rollouts", folder / "serve"
        self.store = LocalRollouts(self.rollouts).of("r1")
        state = new_rollout("r1", STABLE, CANARY, "r1", RolloutParams(), time.time())
        self.store.append(Step(number=0, t=time.time(), action="create", person="eva", state=state))
        self.store.append(Step(number=1, t=time.time(), action="start", state=state))
        self.serving = FolderState(self.state)
        self.serving.change_weights(
            lambda w: replace(w, rollout="r1", salt="r1", stable=STABLE, canary=CANARY, canary_weight=0.05)
        )

    def serin(self, *arguments: str, where: bool = True) -> Result:
        """``serin rollout`` with these arguments."""
        options = ["--rollouts", str(self.rollouts), *(["--state", str(self.state)] if where else [])]
        return CliRunner().invoke(command, [*arguments, *options], catch_exceptions=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("verb", "decision", "winner"), [("promote", "promoted", CANARY), ("abort", "aborted", STABLE)]
)
def test_a_decision_by_hand_moves_all_traffic_and_is_kept(
    machine: Machine, verb: str, decision: str, winner: str
) -> None:
    done = machine.serin(verb, "--reason", "seen enough", "--by", "eva")
    assert f"r1: {decision}, by hand (eva): seen enough" in done.output
    weights = machine.serving.weights()
    assert (weights.rollout, weights.stable, weights.canary, weights.canary_weight) == (None, winner, None, 0.0)
    [*_, last] = json.loads(machine.serin("history", "r1", "--output", "json", where=False).output)
    assert (last["action"], last["by"], last["why"]) == (verb, "eva", "seen enough")

    again = machine.serin(verb, "--reason", "again")
    assert again.exit_code == 0
    assert "as before" in again.output
    other = {"promote": "abort", "abort": "promote"}[verb]
    with pytest.raises(UsageError, match=f"is {decision} already"):
        machine.serin(other, "--reason", "never mind")
    with pytest.raises(UsageError, match=f"is {decision} already"):
        machine.serin("pause", "--reason", "never mind")


def test_a_decision_that_was_stored_and_not_applied_is_applied_when_it_is_repeated(machine: Machine) -> None:
    before = machine.serving.weights()
    machine.serin("abort", "--reason", "seen enough")
    machine.serving.change_weights(lambda _: before)
    machine.serin("abort", "--reason", "seen enough")
    assert machine.serving.weights().rollout is None


def test_a_pause_is_kept_with_its_reason_until_it_is_resumed(machine: Machine) -> None:
    machine.serin("pause", "--reason", "a holiday", "--by", "eva")
    status = machine.serin("status")
    assert "paused, step 1 of 4: 5% of the users are with the canary" in status.output
    assert "waits for  paused by eva: a holiday" in status.output
    assert "as before" in machine.serin("pause", "--reason", "another", "--by", "max").output
    machine.serin("resume", "--by", "max")
    assert "as before" in machine.serin("resume").output
    view = json.loads(machine.serin("status", "--output", "json").output)
    assert (view["phase"], view["loop_runs"]) == ("warming up", False)
    history = machine.serin("history", "r1", where=False).output.splitlines()
    assert [line.split()[3] for line in history[1:]] == ["create", "start", "pause", "resume"]
    assert machine.serving.weights().canary_weight == 0.05


def test_status_tells_what_is_proven_in_words(machine: Machine) -> None:
    text = machine.serin("status").output
    assert "failed requests: stable 0 of 0, canary 0 of 0" in text
    assert "bad feedback: " in text
    assert "0% of the way (evidence 1, proven at 20)" in text
    assert "time left  " in text
    assert f"'serin rollout start {CANARY}' goes on with it" in text


def test_history_lists_rollouts_and_names_one_by_its_beginning(machine: Machine) -> None:
    listed = machine.serin("history", where=False).output.splitlines()
    assert listed[1].split()[:3] == ["r1", CANARY, "running"]
    assert "create" in machine.serin("history", "r", where=False).output
    with pytest.raises(UsageError, match="x is no rollout: 'serin rollout history' lists them"):
        machine.serin("history", "x", where=False)


def test_status_without_a_rollout_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="serin rollout start"):
        CliRunner().invoke(command, ["status", "--rollouts", str(tmp_path)], catch_exceptions=False)


def test_what_is_shown_for_a_cluster_is_taken_there() -> None:
    told = CliRunner().invoke(command, ["--help"]).output
    shown = [told, (EXAMPLE.parents[2] / "README.md").read_text(), EXAMPLE.read_text()]
    patches = [PATCH.findall(text) for text in shown]
    assert [len(each) for each in patches] == [4, 1, 1]
    spec = yaml.safe_load(shown[-1])["spec"]
    for patch in (each for found in patches for each in found):
        change = json.loads(patch)["spec"]
        assert change.keys() <= {"paused", "action", "reason"}
        ModelRolloutSpec.model_validate(spec | change)
