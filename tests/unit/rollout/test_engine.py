"""A rollout whose processes die, come twice or find storage away ends as one that nobody disturbed, row by row."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from serin.core.errors import InputError, StorageError, UsageError
from serin.rollout.evidence import observations_of, recompute
from serin.rollout.manual import do_by_hand

from .traffic import CANARY, PARAMS, STABLE, Production, Strikes

Source = Literal["folder", "storage"]


@contextmanager
def production(folder: Path, source: Source, bad: float, strikes: Strikes | None = None) -> Iterator[Production]:
    folder.mkdir()
    made = Production(folder, source, bad, strikes or Strikes())
    yield made
    made.close()


def told(made: Production) -> Any:
    """Everything that a rollout concluded, and from what: equal where nothing was lost or counted twice."""
    steps = list(made.new_store().steps())
    rows = [row for _, closed in steps for row in closed]
    assert len({row.unit for row in rows}) == len(rows), "a unit was counted twice"
    return (steps[-1][0].state, rows, made.serving.weights().stable, made.serving.weights().rollout)


@pytest.mark.parametrize("source", ["folder", "storage"])
@pytest.mark.parametrize(("bad", "decision"), [(0.05, "promoted"), (0.7, "aborted")])
def test_a_kill_at_any_write_changes_nothing(tmp_path: Path, source: Source, bad: float, decision: str) -> None:
    with production(tmp_path / "undisturbed", source, bad) as made:
        assert made.run().decision == decision
        undisturbed, writes = told(made), made.strikes.writes
    assert undisturbed[2:] == (CANARY if decision == "promoted" else STABLE, None)
    assert writes >= 6
    for number in range(1, writes + 1):
        for when in ("before", "after"):
            strikes = Strikes(at=(number, when))
            with production(tmp_path / f"{number}-{when}", source, bad, strikes) as made:
                made.run()
                assert not strikes.armed
                assert told(made) == undisturbed, (number, when)


def test_two_processes_at_once_count_nothing_twice(tmp_path: Path) -> None:
    with production(tmp_path / "one", "folder", 0.05) as made:
        made.run()
        undisturbed = told(made)
    with production(tmp_path / "two", "folder", 0.05) as made:
        other = made.new_engine()
        lost = []

        def first() -> None:
            """The other one writes this very step, since it was quicker."""
            made.strikes.between = lambda: None
            other.turn(made.t)
            lost.append(made.t)

        def arm() -> None:
            made.strikes.between = first

        made.run(until=lambda state: arm() or state.decision != "running")  # type: ignore[func-returns-value]
        assert len(lost) > 5
        assert told(made) == undisturbed


def test_storage_that_is_away_for_a_while_only_delays(tmp_path: Path) -> None:
    with production(tmp_path / "made", "folder", 0.05) as made:
        made.run(until=lambda state: state.units["canary"] > 5)
        made.storage.away = True
        for _ in range(5):
            made.pass_second()
            with pytest.raises(StorageError):
                made.engine.turn(made.t)
        made.storage.away = False
        state = made.run()
        assert state.decision == "promoted"
        rows = observations_of(row for _, closed in made.store.steps() for row in closed)
        for metric in PARAMS.metrics:
            assert recompute(rows, metric, PARAMS.metrics[metric].delta) == state.metrics[metric]


def test_a_step_by_hand_between_two_turns_is_followed(tmp_path: Path) -> None:
    with production(tmp_path / "made", "folder", 0.05) as made:
        made.run(until=lambda state: state.counted_from is not None)
        do_by_hand("pause", made.new_store(), made.serving, "wait", "eva", made.t)  # type: ignore[arg-type]
        held = made.run(until=lambda _: made.t > 1040)
        assert (held.paused, held.step) == (True, 0)
        assert held.units["canary"] > PARAMS.min_units
        do_by_hand("promote", made.new_store(), made.serving, "enough", "eva", made.t)  # type: ignore[arg-type]
        assert made.turn().state.decision == "promoted"
        assert made.serving.weights().stable == CANARY


def test_weights_that_somebody_else_took_end_the_rollout_and_are_left_alone(tmp_path: Path) -> None:
    with production(tmp_path / "made", "folder", 0.05) as made:
        made.run(until=lambda state: state.counted_from is not None)
        others = made.serving.change_weights(lambda w: type(w)(stable=STABLE, rollout="other"))
        assert made.turn().state.decision == "aborted"
        assert made.serving.weights() == others


def test_a_rollout_from_a_revision_that_is_not_stable_any_more_never_begins(tmp_path: Path) -> None:
    with production(tmp_path / "made", "folder", 0.05) as made:
        made.serving.change_weights(lambda w: type(w)(stable="law@" + "c" * 64))
        with pytest.raises(UsageError, match="start another rollout"):
            made.turn()
        assert "it never began" in made.new_store().read().reason
        assert made.serving.weights().rollout is None


def test_a_damaged_step_names_its_file(tmp_path: Path) -> None:
    with production(tmp_path / "made", "folder", 0.05) as made:
        made.run(until=lambda state: state.counted_from is not None)
        key = made.storage.list("runs/")[-1]
        made.storage.held[key] = made.storage.held[key][:50]
        with pytest.raises(InputError, match=key):
            made.new_store().read()
