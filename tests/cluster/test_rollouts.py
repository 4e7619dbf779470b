"""ModelRollouts: what their users see, and that a controller that dies at any write changes nothing of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serin.clients.kubernetes.kinds import MODEL_ROLLOUTS
from serin.clients.serving_state import Weights

from ..unit.rollout.traffic import CANARY, STABLE, Strikes
from .rollouts import ClusterProduction
from .standin import StandIn

Told = Callable[[ClusterProduction], None]


@contextmanager
def cluster(folder: Path, bad: float = 0.05, strikes: Strikes | None = None) -> Iterator[ClusterProduction]:
    folder.mkdir()
    with StandIn(auto=False, served=False) as standin:
        made = ClusterProduction(standin, folder, bad, strikes)
        yield made
        made.close()


def promoted_on_evidence(made: ClusterProduction) -> None:
    made.submit()
    made.until("Promoted")


def aborted_on_evidence(made: ClusterProduction) -> None:
    made.submit()
    made.until("Aborted")


def paused_and_resumed(made: ClusterProduction) -> None:
    made.submit()
    made.until("Running")
    made.patch(paused=True, reason="the weekend")
    for _ in range(8):
        made.second()
    made.patch(paused=False)
    made.until("Promoted")


def promoted_by_hand(made: ClusterProduction) -> None:
    made.submit()
    made.until("Running")
    made.patch(action="promote", reason="a customer waits")
    made.until("Promoted", seconds=3)


def deleted_in_mid_way(made: ClusterProduction) -> None:
    made.submit()
    made.until("Running")
    made.user.delete(MODEL_ROLLOUTS, "law")
    made.second()


def refused(made: ClusterProduction) -> None:
    made.serving.state.change_weights(lambda _: Weights(stable="law@" + "c" * 64))  # type: ignore[attr-defined]
    made.submit()
    made.until("Aborted", seconds=3)


ALL = [promoted_on_evidence, aborted_on_evidence, paused_and_resumed, promoted_by_hand, deleted_in_mid_way, refused]


@pytest.mark.parametrize("tell", ALL, ids=[tell.__name__ for tell in ALL])
def test_a_controller_that_dies_at_any_write_ends_the_same(tmp_path: Path, tell: Told) -> None:
    bad = 0.7 if tell is aborted_on_evidence else 0.05
    with cluster(tmp_path / "unharmed", bad) as made:
        tell(made)
        end, writes = made.end(), made.strikes.writes
    assert writes >= 4
    for number in range(1, writes + 1):
        for when in ("before", "after"):
            strikes = Strikes(at=(number, when))
            with cluster(tmp_path / f"{number}-{when}", bad, strikes) as made:
                tell(made)
                assert not strikes.armed
                assert made.end() == end, (number, when)


def test_a_promotion_is_told_in_status_conditions_and_events(tmp_path: Path) -> None:
    with cluster(tmp_path / "made") as made:
        promoted_on_evidence(made)
        status, weights = made.status(), made.serving.present
        assert (weights.stable, weights.canary, weights.rollout) == (CANARY, None, None)
        assert (status["decidedBy"], status["weight"], status["unproven"]) == ("Evidence", 1.0, [])
        assert status["users"]["canary"] > 0
        assert all(metric["proven"] for metric in status["metrics"])
        assert made.condition("Decided") == ("True", "Promoted")
        assert made.condition("Accepted") == ("True", "Accepted")
        assert {("Normal", "Promoted"), ("Normal", "Advanced"), ("Normal", "Running")} <= made.events()


def test_an_abort_sends_everybody_back(tmp_path: Path) -> None:
    with cluster(tmp_path / "made", bad=0.7) as made:
        aborted_on_evidence(made)
        assert (made.serving.present.stable, made.serving.present.canary) == (STABLE, None)
        assert made.status()["reason"].startswith("worse than delta allows in")
        assert ("Warning", "Aborted") in made.events()


def test_a_pause_holds_the_weight_and_keeps_its_reason(tmp_path: Path) -> None:
    with cluster(tmp_path / "made") as made:
        made.submit()
        made.until("Running")
        made.patch(paused=True, reason="the weekend")
        made.until("Paused", seconds=3)
        for _ in range(20):
            made.second()
        assert (made.status()["phase"], made.serving.present.canary_weight) == ("Paused", 0.2)
        assert "the weekend" in made.status()["reason"]
        assert [step.reason for step in made.steps() if step.action == "pause"] == ["the weekend"]


def test_one_that_is_made_paused_gets_no_traffic_before_it_is_resumed(tmp_path: Path) -> None:
    with cluster(tmp_path / "made") as made:
        made.submit(paused=True)
        made.second()
        assert made.serving.present.rollout is None
        assert made.condition("Accepted") == ("True", "Paused")
        made.patch(paused=False)
        made.until("WarmingUp", seconds=3)
        assert made.serving.present.canary == CANARY


def test_a_persons_decision_is_kept_as_one(tmp_path: Path) -> None:
    with cluster(tmp_path / "made") as made:
        promoted_by_hand(made)
        assert made.status()["decidedBy"] == "Person"
        assert "a customer waits" in made.status()["reason"]
        assert made.serving.present.stable == CANARY
        made.patch(action="abort", reason="never mind")
        made.second()
        assert made.status()["phase"] == "Promoted"
        assert made.serving.present.stable == CANARY


def test_a_deletion_in_mid_way_sends_everybody_back_also_after_a_restart(tmp_path: Path) -> None:
    with cluster(tmp_path / "made") as made:
        made.submit()
        made.until("Running")
        assert made.serving.present.canary == CANARY
        made.user.delete(MODEL_ROLLOUTS, "law")
        made.loop = made.new_loop()
        made.second()
        weights = made.serving.present
        assert (weights.stable, weights.canary, weights.rollout) == (STABLE, None, None)


def test_a_rollout_that_cannot_begin_says_why(tmp_path: Path) -> None:
    with cluster(tmp_path / "made") as made:
        refused(made)
        assert made.condition("Accepted") == ("False", "Refused")
        assert "start another rollout" in made.status()["reason"]


def test_silent_gateways_and_storage_that_is_away_are_told(tmp_path: Path) -> None:
    with cluster(tmp_path / "made") as made:
        made.submit()
        made.until("Running")
        made.storage.away = True
        made.look()
        assert made.condition("EvidenceArrives") == ("False", "Unreadable")
        assert made.status()["phase"] == "Running"
        made.storage.away = False
        made.t += 30
        made.patch(paused=True, reason="wait")
        made.look()
        assert made.condition("EvidenceArrives") == ("True", "Read")
        made.t += 200
        made.look()
        assert made.condition("EvidenceArrives") == ("False", "Silent")
        assert ("Warning", "Silent") in made.events()
