"""What the page says to somebody who reads only words."""

import html
import re
from pathlib import Path

from serin.rollout.manual import do_by_hand
from serin.rollout.report import render_report

from ..traffic import Production


def text_of(made: Production) -> str:
    """The page without its tags and styles."""
    page = render_report([step for step, _ in made.new_store().steps()], made.t)
    assert not re.search(r"(src|href|url)[=(]", page)
    body = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(body))


def test_a_promotion_says_what_was_proven_and_how_sure_it_is(tmp_path: Path) -> None:
    made = Production(tmp_path, bad=0.05)
    state = made.run()
    said = text_of(made)
    assert "law@bbbbbbbb took over" in said
    assert "Proven: the new revision is not worse by 20 %." in said
    assert "let through in at most 5 % of such rollouts" in said
    assert f"{sum(state.units.values())} users counted" in said
    assert "not worse: proven at 20" in said


def test_an_abort_says_in_what_it_is_worse(tmp_path: Path) -> None:
    made = Production(tmp_path, bad=0.7)
    made.run()
    said = text_of(made)
    assert "law@bbbbbbbb was sent back" in said
    assert "worse than allowed: it has more" in said
    assert "sent back in at most 5 % of such rollouts" in said


def test_a_rollout_that_runs_says_what_it_waits_for_and_names_who_paused_it(tmp_path: Path) -> None:
    made = Production(tmp_path)
    made.run(until=lambda state: state.units["canary"] > 0)
    do_by_hand("pause", made.store, made.serving, "the <weekend>", "eva", made.t)  # type: ignore[arg-type]
    said = text_of(made)
    assert "law@bbbbbbbb is on trial, and paused" in said
    assert "It waits: paused by eva: the <weekend>." in said
    assert "Nothing is decided yet." in said


def test_a_decision_by_hand_rests_on_no_bound(tmp_path: Path) -> None:
    made = Production(tmp_path)
    made.run(until=lambda state: state.units["canary"] > 0)
    do_by_hand("promote", made.store, made.serving, "a customer waits", "eva", made.t)  # type: ignore[arg-type]
    said = text_of(made)
    assert "eva decided so: a customer waits." in said
    assert "rests on no error bound" in said


def test_a_rollout_that_was_only_declared_has_a_page(tmp_path: Path) -> None:
    assert "is on trial" in text_of(Production(tmp_path))
