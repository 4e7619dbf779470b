"""What a rollout that is under way may still ask for stays, however old it is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from serin.clients.evidence.shipped import StorageWriter
from serin.clients.storage import FolderStorage
from serin.rollout.old_evidence import UnderWay, horizon, plan
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
    held = plan(storage, later, WEEK)
    assert not held.old.objects
    assert held.holder == "rollout r is under way"
    ended, _ = decide_by_hand(state, "aborted", "enough", T)
    RolloutStore(storage, "r", PREFIX).append(Step(number=2, t=T, action="abort", state=ended))
    free = plan(storage, later, WEEK)
    assert (len(free.old.rows), len(free.old.signs), free.holder) == (1, 1, None)
    assert free.before == later - WEEK
    storage.write(f"{PREFIX}ids/damaged", b"")
    storage.write(f"{PREFIX}runs/damaged/steps/00000000.jsonl", b"{")
    doubtful = plan(storage, later, WEEK)
    assert not doubtful.old.objects
    assert "damaged" in doubtful.doubts[0]
    assert doubtful.before is None
