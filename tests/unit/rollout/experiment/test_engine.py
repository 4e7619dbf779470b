"""An experiment whose processes die, come twice or look seldom concludes as one that nobody disturbed, unit by unit."""

from dataclasses import replace
from pathlib import Path

import pytest

from serin.core.errors import InputError, StorageError, UsageError
from serin.rollout.experiment.engine import claim
from serin.rollout.experiment.state import new_experiment, take_in

from ..traffic import STABLE, Strikes
from .arms import PARAMS, WEIGHTS, Arms, Y

END_T = 1040.0


def undisturbed(folder: Path) -> Arms:
    made = Arms(folder)
    made.run(END_T)
    made.end()
    return made


def test_a_kill_at_any_write_changes_nothing(tmp_path: Path) -> None:
    expected = undisturbed(tmp_path / "undisturbed")
    state, units, experiment, variants = expected.told()
    assert (experiment, variants, state.chosen, state.person) == (None, {}, Y, "eva")
    assert 100 < state.units <= len(units)
    assert expected.strikes.writes >= 8
    for number in range(1, expected.strikes.writes + 1):
        for when in ("before", "after"):
            made = Arms(tmp_path / f"{number}-{when}", Strikes(at=(number, when)))  # type: ignore[arg-type]  # both are
            made.run(END_T)
            made.end()
            assert not made.strikes.armed
            assert made.told() == expected.told(), (number, when)


def test_two_who_look_at_once_count_nothing_twice(tmp_path: Path) -> None:
    made = Arms(tmp_path / "two")
    other = made.new_counter()
    lost = []

    def first() -> None:
        """The other one writes this very step, since it was quicker."""
        made.strikes.between = lambda: None
        other.turn(made.t)
        lost.append(made.t)

    while made.t < END_T:
        made.strikes.between = first
        made.run(made.t + 1)
    made.strikes.between = lambda: None
    made.end()
    assert len(lost) > 3
    assert made.told() == undisturbed(tmp_path / "one").told()


def test_who_looks_only_once_counts_the_same(tmp_path: Path) -> None:
    made = Arms(tmp_path / "seldom")
    made.run(END_T, look=False)
    made.end()
    assert made.told() == undisturbed(tmp_path / "often").told()


def test_what_is_stored_gives_every_figure_again(tmp_path: Path) -> None:
    state, units, *_ = undisturbed(tmp_path / "made").told()
    again = take_in(new_experiment("e", STABLE, WEIGHTS, PARAMS, 1000.0), units)
    assert (again.counts, again.pairs, again.split_log_e) == (state.counts, state.pairs, state.split_log_e)
    assert take_in(again, units) == again


def test_storage_that_is_away_for_a_while_only_delays(tmp_path: Path) -> None:
    made = Arms(tmp_path / "away")
    made.run(1015.0)
    made.storage.away = True
    with pytest.raises(StorageError):
        made.turn()
    made.storage.away = False
    made.run(END_T)
    made.end()
    assert made.told()[1] == undisturbed(tmp_path / "there").told()[1]


@pytest.mark.parametrize("change", [{"experiment": "other"}, {"variants": {Y: 0.2}}, {"stable": Y}])
def test_weights_that_somebody_else_changed_end_it(tmp_path: Path, change: dict[str, object]) -> None:
    made = Arms(tmp_path / "made")
    made.run(1015.0)
    others = made.serving.change_weights(lambda present: replace(present, **change))
    state = made.turn().state
    assert (state.decision, state.person) == ("stopped", "")
    assert "somebody else changed them" in state.reason
    if change.get("experiment") == "other":
        assert made.serving.weights() == others


def test_users_of_other_weights_and_of_the_warm_up_do_not_count(tmp_path: Path) -> None:
    made = Arms(tmp_path / "made")
    made.run(1030.0)
    row = {
        "type": "outcome",
        "t": 1020.0,
        "request": "r",
        "rollout": "e",
        "revision": Y,
        "arm": Y,
        "assigned_t": 1025.0,
    }
    row |= {"failover": False, "error": 0, "ttft_s": 0.1}
    made.log({**row, "unit": "f" * 32, "weight": 0.9})
    made.log({**row, "unit": "e" * 32, "weight": 0.2})
    made.run(END_T)
    units = {unit.unit: unit for unit in made.told()[1]}
    assert not units["f" * 32].y
    assert units["e" * 32].y
    assert all(bool(unit.y) == (unit.assigned_t >= 1002.0) for unit in units.values() if unit.unit != "f" * 32)


def test_a_rollout_and_an_experiment_exclude_each_other(tmp_path: Path) -> None:
    made = Arms(tmp_path / "made")
    second = new_experiment("e2", STABLE, WEIGHTS, PARAMS, made.t)
    with pytest.raises(UsageError, match="experiment e is running"):
        claim(second, made.serving)  # type: ignore[arg-type]  # as much of it as is needed
    made.end()
    made.serving.change_weights(lambda present: replace(present, rollout="r"))
    with pytest.raises(UsageError, match="rollout r splits the traffic now"):
        claim(second, made.serving)  # type: ignore[arg-type]  # likewise


def test_it_is_stopped_once_and_with_one_choice(tmp_path: Path) -> None:
    made = Arms(tmp_path / "made")
    made.end()
    assert made.counter.end("again", made.t, "max", Y) == (made.new_store().newest(), False)
    with pytest.raises(UsageError, match="has ended already"):
        made.counter.end("again", made.t, "max", None)


def test_rows_of_a_rollout_in_the_same_log_change_nothing_and_a_false_arm_is_named(tmp_path: Path) -> None:
    made = Arms(tmp_path / "made")
    row = {
        "type": "outcome",
        "t": 1001.0,
        "request": "r",
        "unit": "u",
        "revision": Y,
        "weight": 0.5,
        "assigned_t": 1001.0,
    }
    row |= {"failover": False, "error": 0, "ttft_s": 0.1}
    made.log({**row, "rollout": "another", "arm": "canary"})
    made.run(1012.0)
    assert "u" not in {unit.unit for unit in made.told()[1]}
    made.log({**row, "rollout": "e", "arm": "canary"})
    with pytest.raises(InputError, match="arm 'canary'"):
        made.turn()
