"""Win rates, their intervals, and how far raters agree."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from serin.core.params.evaluation import EvaluateParams
from serin.evaluate.human.key import Key, Known
from serin.evaluate.human.ratings import Preference, Rating
from serin.evaluate.human.result import HumanResult, agreement, import_ratings, sum_up

from .evaluations import DIGEST, export, fill, line, prefers_candidate

PARAMS = EvaluateParams(resamples=1000)


def key(questions: int, same: Sequence[str] = ()) -> Key:
    known = {
        f"q{n}": Known(f"g{n // 2}", {"language": "zh" if n % 2 else "en"}, f"q{n}" in same) for n in range(questions)
    }
    return Key(DIGEST, "base", None, "e" * 64, known, {})


def rating(rater: int, question: int, preferred: Preference, named: int = 1, comment: str = "") -> Rating:
    return Rating(rater, f"q{question}", preferred, named, comment)


def every(preferred: Preference, questions: int, rater: int = 1) -> list[Rating]:
    return [rating(rater, n, preferred) for n in range(questions)]


def result(ratings: Sequence[Rating], questions: int, same: Sequence[str] = ()) -> HumanResult:
    return sum_up(key(questions, same), ratings, PARAMS)


def test_a_tie_counts_half() -> None:
    ratings = [rating(1, n, "candidate" if n < 4 else "tie" if n < 8 else "other") for n in range(10)]
    found = result(ratings, 10).slices["all"]
    assert (found.wins, found.ties, found.losses, found.questions) == (4, 4, 2, 10)
    assert found.win_rate == pytest.approx(0.6)
    assert found.ci_low < 0.6 < found.ci_high


def test_ten_wins_of_ten_are_no_certainty() -> None:
    found = result(every("candidate", 10), 10).slices["all"]
    assert found.win_rate == 1.0
    assert found.ci_low < 0.95
    assert found.ci_high == 1.0
    assert found.p < 0.1


def test_more_raters_of_the_same_questions_do_not_narrow_the_interval() -> None:
    ratings = [rating(1, n, "candidate" if n % 3 else "other") for n in range(30)]
    one = result(ratings, 30).slices["all"]
    copies = [Rating(rater, r.question, r.preferred, r.named, "") for rater in (1, 2, 3, 4) for r in ratings]
    four = result(copies, 30).slices["all"]
    assert four.win_rate == pytest.approx(one.win_rate)
    assert four.ci_high - four.ci_low == pytest.approx(one.ci_high - one.ci_low, rel=0.1)


def test_the_same_answer_twice_counts_as_a_tie_of_each_rater() -> None:
    ratings = [*every("candidate", 8, 1), *every("candidate", 8, 2)]
    found = result(ratings, 10, same=("q8", "q9"))
    assert found.same == 2
    assert (found.slices["all"].wins, found.slices["all"].ties) == (16, 4)
    assert found.slices["all"].win_rate == pytest.approx(0.9)
    assert found.slices["all"].alpha is None, "ties that nobody was asked about say nothing of agreement"


def test_slices_are_told_apart() -> None:
    ratings = [rating(1, n, "candidate" if n % 2 else "other") for n in range(20)]
    found = result(ratings, 20).slices
    assert set(found) == {"all", "language=en", "language=zh"}
    assert (found["language=zh"].win_rate, found["language=en"].win_rate) == (1.0, 0.0)
    assert found["all"].win_rate == 0.5


def test_a_bias_for_a_place_shows() -> None:
    ratings = [rating(1, n, "candidate" if n % 2 else "other", named=1) for n in range(9)]
    assert result([*ratings, rating(1, 9, "tie", named=0)], 10).first_share == 1.0
    assert result([rating(1, n, "tie", named=0) for n in range(10)], 10).first_share is None


def test_comments_are_kept_with_what_they_are_on() -> None:
    found = result([*every("tie", 9), rating(2, 9, "other", comment="both wrong")], 10)
    assert found.comments == ({"question": "q9", "rater": 2, "preferred": "other", "comment": "both wrong"},)


def test_raters_that_agree_and_raters_that_do_not() -> None:
    kinds: list[Preference] = ["candidate", "other", "tie"]
    same = [rating(rater, n, kinds[n % 3]) for rater in (1, 2) for n in range(30)]
    assert agreement(same) == pytest.approx(1.0)
    opposite = [rating(rater, n, kinds[(n + rater) % 2]) for rater in (1, 2) for n in range(30)]
    found = agreement(opposite)
    assert found is not None
    assert found < -0.9


def test_a_win_against_a_tie_is_a_smaller_disagreement_than_against_a_loss() -> None:
    def with_last(other: Preference) -> float:
        start = [rating(r, n, "candidate" if n % 2 else "other") for r in (1, 2) for n in range(20)]
        start += [rating(r, 20, "tie") for r in (1, 2)]
        found = agreement([*start, rating(1, 21, "candidate"), rating(2, 21, other)])
        assert found is not None
        return found

    assert 1 > with_last("tie") > with_last("other")


def test_a_published_example_of_agreement() -> None:
    """Krippendorff 2011, section C, cut to three levels: computed by hand from its coincidences."""
    one: list[Preference] = ["other", "tie", "candidate", "other", "tie"]
    two: list[Preference] = ["other", "tie", "candidate", "tie", "tie"]
    ratings = [rating(r, n, said) for r, of in ((1, one), (2, two)) for n, said in enumerate(of)]
    # Totals n = 3, 5, 2. Squared distances: other-tie (3/2 + 5/2)^2 = 16, tie-candidate (5/2 + 2/2)^2 = 12.25,
    # other-candidate (3/2 + 5 + 2/2)^2 = 56.25. Observed: one pair other-tie. Expected, over n - 1 = 9.
    observed, expected = 16, (3 * 5 * 16 + 5 * 2 * 12.25 + 3 * 2 * 56.25) / 9
    assert agreement(ratings) == pytest.approx(1 - observed / expected)


@pytest.mark.parametrize(
    "ratings",
    [
        every("candidate", 10),
        [*every("candidate", 10, 1), *every("candidate", 10, 2)],
        [*every("candidate", 5, 1), *(rating(2, n, "other") for n in range(5, 10))],
        [],
    ],
    ids=["one rater", "all the same", "nothing in common", "none"],
)
def test_agreement_is_not_told_where_it_is_not_defined(ratings: list[Rating]) -> None:
    assert agreement(ratings) is None


def test_files_and_key_give_a_result_that_names_the_candidate(tmp_path: Path) -> None:
    exported = export(tmp_path, [line(n) for n in range(12)], raters=3)
    files = [fill(exported.sheets / f"rater-{n}.csv", prefers_candidate) for n in (3, 1)]
    found = import_ratings(files, exported.key, PARAMS)
    assert (found.digest, found.over, found.raters, found.invited) == (DIGEST, "base", 2, 3)
    assert found.slices["all"].win_rate == 1.0
    told = json.loads(json.dumps(found.as_dict()))
    assert told["slices"]["language=zh"]["wins"] == 12
    assert import_ratings(files[::-1], exported.key, PARAMS) == found
