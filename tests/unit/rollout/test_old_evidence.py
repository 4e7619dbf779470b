"""What a rollout that is under way may still ask for stays, however old it is."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from serin.clients.evidence.shipped import StorageWriter
from serin.clients.serving_state import FolderState
from serin.clients.storage import FolderStorage
from serin.core.params import ExperimentParams
from serin.rollout.experiment.state import new_experiment
from serin.rollout.experiment.store import Experiments, ExperimentStep
from serin.rollout.old_evidence import UnderWay, horizon, plan_here, plan_shipped
from serin.rollout.policy import decide_by_hand
from serin.rollout.state import new_rollout
from serin.rollout.store import PREFIX, RolloutStore, Step

from .traffic import CANARY, PARAMS, STABLE

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
T = NOW.timestamp()
DAY_S = 86_400.0
WEEK = timedelta(days=7)


def test_the_horizon_is_the_grace_period_or_the_beginning_of_what_is_under_way() -> None:
    assert horizon([], T, WEEK) == (T - 7 * DAY_S, None)
    assert horizon([], T, timedelta(0)) == (T - DAY_S, None), "no grace at all would hit a rollout that begins now"
    young, old = UnderWay("young", T - DAY_S), UnderWay("old", T - 20 * DAY_S)
    assert horizon([young], T, WEEK) == (T - 7 * DAY_S, None)
    until_t, holder = horizon([young, old], T, WEEK)
    assert until_t < T - 20 * DAY_S - 600, "stable's answers from before its start are read too"
    assert holder == "rollout old is under way"


def test_only_what_is_decided_lets_go_and_what_cannot_be_read_holds_everything(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    began_t = T - 20 * DAY_S
    writer = StorageWriter(storage, "gateway", ship_s=1e6, now=lambda: began_t)
    writer.append({"n": 0})
    writer.close()
    later = datetime.now(UTC) + timedelta(days=30)  # as a folder dates what it holds by its own clock
    store = RolloutStore(storage, "r", PREFIX)
    state = new_rollout("r", STABLE, CANARY, "salt", PARAMS, T)
    store.append(Step(number=0, t=T, action="create", state=state))
    begun = later.timestamp() - 40 * DAY_S
    store.append(Step(number=1, t=T, action="start", state=state.model_copy(update={"started_t": begun})))
    held = plan_shipped(storage, later, WEEK)
    assert not held.old.objects
    assert held.holder == "rollout r is under way"
    ended, _ = decide_by_hand(state, "aborted", "enough", T)
    RolloutStore(storage, "r", PREFIX).append(Step(number=2, t=T, action="abort", state=ended))
    free = plan_shipped(storage, later, WEEK)
    assert (len(free.old.rows), len(free.old.signs), free.holder) == (1, 1, None)
    assert free.before == later - WEEK
    storage.write(f"{PREFIX}ids/damaged", b"")
    storage.write(f"{PREFIX}runs/damaged/steps/00000000.jsonl", b"{")
    doubtful = plan_shipped(storage, later, WEEK)
    assert not doubtful.old.objects
    assert "damaged" in doubtful.doubts[0]
    assert doubtful.before is None


def test_on_this_machine_rollouts_and_experiments_hold_what_they_may_still_ask_for(tmp_path: Path) -> None:
    state = FolderState(tmp_path / "serve")
    state.evidence_folder.mkdir(parents=True)
    old = state.evidence_path("gateway")
    old.write_text('{"n": 0}\n')
    os.utime(old, (T - 20 * DAY_S, T - 20 * DAY_S))
    assert plan_here(state, NOW, WEEK).old.objects == 1

    store = RolloutStore(FolderStorage(tmp_path / "rollouts"), "r")
    rollout = new_rollout("r", STABLE, CANARY, "salt", PARAMS, T - 20 * DAY_S)
    store.append(Step(number=0, t=T, action="create", state=rollout))
    assert (plan_here(state, NOW, WEEK).old.objects, plan_here(state, NOW, WEEK).holder) == (
        0,
        "rollout r is under way",
    )
    ended, _ = decide_by_hand(rollout, "aborted", "enough", T)
    store.append(Step(number=1, t=T, action="abort", state=ended))
    assert plan_here(state, NOW, WEEK).old.objects == 1

    experiments = Experiments(FolderStorage(tmp_path / "experiments"))
    arms = {STABLE: 0.5, CANARY: 0.5}
    experiment = new_experiment("e", STABLE, arms, ExperimentParams(), T - 20 * DAY_S)
    experiments.of("e").append(ExperimentStep(number=0, t=T, action="create", state=experiment))
    assert plan_here(state, NOW, WEEK).holder == "experiment e is under way"

    state.change_weights(lambda weights: replace(weights, rollout="kept elsewhere"))
    doubtful = plan_here(state, NOW, WEEK)
    assert (doubtful.old.objects, doubtful.before) == (0, None)
    assert "rollout kept elsewhere is not in" in doubtful.doubts[0]
