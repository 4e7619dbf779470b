"""What people are told of an experiment."""

import html
import re
from pathlib import Path

from serin.rollout.experiment.report import render_report
from serin.rollout.experiment.state import ExperimentState
from serin.rollout.experiment.status import leading, lines, view_of

from ..traffic import STABLE
from .arms import Arms, Y


def words(made: Arms) -> str:
    return "\n".join(lines(view_of(made.turn().state, made.t)))


def test_it_says_who_leads_and_what_it_takes_and_then_who_wins(tmp_path: Path) -> None:
    made = Arms(tmp_path)
    said = words(made)
    assert "experiment e: warming up" in said
    assert "No winner yet: some arm has no counted user." in said
    made.run(1016.0)
    view = view_of(made.turn().state, made.t)
    assert (view.winner, view.leader) == (None, Y)
    assert re.search(
        r"No winner yet\. law@22222222 leads, .* about \d+ more users \(\d+ (s|min).*\) prove it", view.conclusion
    )
    made.run(1090.0)
    said = words(made)
    assert "law@22222222 wins: it has fewer users with bad feedback than every other arm." in said
    assert "wrong in at most 20% of experiments" in said
    assert "everybody is with stable" not in said
    made.end()
    assert "experiment e: stopped by eva: enough; everybody is with stable" in words(made)


def test_a_winner_that_fails_more_often_is_not_praised_alone(tmp_path: Path) -> None:
    made = Arms(tmp_path)
    made.run(1090.0)
    state = made.turn().state
    pairs = [
        pair.model_copy(update={"evidence": pair.evidence.model_copy(update={"peak_abort": 50.0})})
        if (pair.metric, pair.worse, pair.better) == ("error", Y, "stable")
        else pair
        for pair in state.pairs
    ]
    conclusion = view_of(state.model_copy(update={"pairs": pairs}), made.t).conclusion
    assert "But it is proven to have more users with failed requests than stable." in conclusion


def test_of_a_broken_split_nothing_is_concluded(tmp_path: Path) -> None:
    made = Arms(tmp_path)
    made.run(1090.0)
    broken: ExperimentState = made.turn().state.model_copy(update={"split_log_e": 7.0})
    view = view_of(broken, made.t)
    assert (view.winner, view.split_is_broken) == (None, True)
    assert view.conclusion.startswith("Nothing can be concluded")
    assert all(not beaten for arm in view.arms for beaten in arm.beats.values())


def test_every_figure_has_an_interval_and_stable_no_difference_from_itself(tmp_path: Path) -> None:
    made = Arms(tmp_path)
    made.run(1040.0)
    view = view_of(made.turn().state, made.t)
    assert view.arms[0].revision == STABLE
    for arm in view.arms:
        assert set(arm.estimates) == {"error", "feedback", "ttft", "score"}
        for estimate in arm.estimates.values():
            assert estimate.mean is not None
            assert estimate.interval.low <= estimate.mean <= estimate.interval.high
            assert (estimate.difference is None) == (arm.arm == "stable")
    assert leading(made.turn().state) == Y


def test_the_page_says_the_same_and_needs_no_network(tmp_path: Path) -> None:
    made = Arms(tmp_path)
    empty = render_report(made.turn().state, [], made.t)
    assert "No winner yet" in empty
    made.run(1090.0)
    made.end()
    state, units, *_ = made.told()
    page = render_report(state, units, made.t)
    assert not re.search(r"(src|href|url)[=(]", page)
    said = re.sub(r"\s+", " ", html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)))
    assert "law@22222222 wins" in said
    assert "stopped by eva: enough." in said
    assert f"{state.units:,} users counted" in said
    assert "law@22222222 is better than law@aaaaaaaa (stable)" in said
    assert "Bad feedback – decides who wins" in said
    assert page.count('class="band') == 4
