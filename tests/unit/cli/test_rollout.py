"""Deciding a rollout by hand, with no gateway running: what is stored, and what the command says."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from serin.cli.rollout import command
from serin.clients.serving_state import FolderState
from serin.core.errors import UsageError
from serin.core.params import RolloutParams
from serin.rollout.policy import new_rollout
from serin.rollout.store import RolloutStore


@pytest.fixture
def started(tmp_path: Path) -> tuple[Path, FolderState]:
    """A rollout whose loop is gone, holding the weights."""
    stable, canary = "law@" + "a" * 64, "law@" + "b" * 64
    store = RolloutStore(tmp_path / "rollouts", "r1")
    store.write(new_rollout("r1", stable, canary, "r1", RolloutParams(), time.time()))
    serving = FolderState(tmp_path / "serve")
    serving.change_weights(
        lambda w: replace(w, rollout="r1", salt="r1", stable=stable, canary=canary, canary_weight=0.05)
    )
    return tmp_path, serving


@pytest.mark.parametrize(("verb", "decision", "winner"), [("promote", "promoted", "b"), ("abort", "aborted", "a")])
def test_a_decision_by_hand_moves_all_traffic_and_is_kept(
    started: tuple[Path, FolderState], verb: str, decision: str, winner: str
) -> None:
    folder, serving = started
    options = ["--rollouts", str(folder / "rollouts"), "--state", str(folder / "serve")]
    done = CliRunner().invoke(command, [verb, "--reason", "seen enough", *options], catch_exceptions=False)
    assert f"r1: {decision}, by hand: seen enough" in done.output
    weights = serving.weights()
    assert (weights.stable, weights.canary, weights.canary_weight) == ("law@" + winner * 64, None, 0.0)
    assert RolloutStore(folder / "rollouts", "r1").read().manual
    with pytest.raises(UsageError, match=f"is {decision} already"):
        CliRunner().invoke(command, [verb, "--reason", "again", *options], catch_exceptions=False)


def test_status_without_a_rollout_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="serin rollout start"):
        CliRunner().invoke(command, ["status", "--rollouts", str(tmp_path)], catch_exceptions=False)
