"""What people made of candidate and reference: win rate with its interval, and how far raters agree."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import krippendorff

from serin.core.params.evaluation import EvaluateParams
from serin.evaluate.compare.comparison import Pairs, compare
from serin.evaluate.compare.slices import members
from serin.evaluate.human.key import Key, read_key
from serin.evaluate.human.ratings import Preference, Rating, read_ratings

_LEVELS: dict[Preference, int] = {"other": -1, "tie": 0, "candidate": 1}


@dataclass(frozen=True, slots=True)
class Opinion:
    """Of one slice."""

    win_rate: float
    """Mean over ratings, a tie counting half."""
    ci_low: float
    ci_high: float
    p: float
    """Of a two-sided permutation test against 0.5."""
    wins: int
    """Ratings that preferred the candidate."""
    ties: int
    losses: int
    questions: int
    alpha: float | None
    """Krippendorff's, for ordinal values; None where nobody rated the same question as another, or all said the same."""


@dataclass(frozen=True, slots=True)
class HumanResult:
    """The content of ``human.json``."""

    digest: str
    """The candidate that was judged."""
    over: str
    against: str | None
    evaluation: str
    """Digest of the evaluation whose answers were rated."""
    raters: int
    """Who returned ratings."""
    invited: int
    """Sheets that were written."""
    same: int
    """Questions with the same answer twice: a tie by each rater."""
    first_share: float | None
    """How often answer 1 was named, of all ratings that named one: about 0.5 for raters without a bias for a place."""
    slices: Mapping[str, Opinion]
    comments: tuple[Mapping[str, Any], ...]
    """``question``, ``rater``, ``preferred`` and ``comment``."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def import_ratings(files: Sequence[Path], key: Path, params: EvaluateParams, partial: bool = False) -> HumanResult:
    """Read, check and sum up what raters returned.

    Args:
        files: filled sheets or the form's files, one a rater.
        key: of the export.
        params: for the interval: ``confidence``, ``resamples`` and ``seed``.
        partial: take sheets in which not all is rated.

    Raises:
        InputError: no key, or faults in the ratings: see ``read_ratings``.
    """
    known = read_key(key)
    return sum_up(known, read_ratings(files, known, partial), params)


def sum_up(key: Key, ratings: Sequence[Rating], params: EvaluateParams) -> HumanResult:
    """Win rates and agreement, over all questions and by slice.

    Intervals and test draw whole groups of questions with all their ratings: they say what other questions would give, by the
    same raters.
    """
    raters = sorted({rating.rater for rating in ratings})
    ids = list(key.questions)
    same = [id for id in ids if key.questions[id].is_same]
    ties = [Rating(rater, id, "tie", 0, "") for id in same for rater in raters]
    rated = {rating.question for rating in [*ratings, *ties]}
    answered = [id for id in ids if id in rated]
    slices = {
        name: _opinion([answered[i] for i in rows], key, [*ratings, *ties], params)
        for name, rows in members([key.questions[id].slices for id in answered]).items()
    }
    named = [rating.named for rating in ratings if rating.named]
    return HumanResult(
        digest=key.digest,
        over=key.over,
        against=key.against,
        evaluation=key.evaluation,
        raters=len(raters),
        invited=len(key.sheets),
        same=len(same),
        first_share=named.count(1) / len(named) if named else None,
        slices=slices,
        comments=tuple(
            {"question": r.question, "rater": r.rater, "preferred": r.preferred, "comment": r.comment}
            for r in ratings
            if r.comment
        ),
    )


def agreement(ratings: Sequence[Rating]) -> float | None:
    """Krippendorff's alpha for ordinal values (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    A tie lies between the two wins, so that a win against a tie is a smaller disagreement than against the other win. 1 is
    agreement, 0 what chance gives. None where it is not defined.
    """
    raters = sorted({rating.rater for rating in ratings})
    columns = {question: i for i, question in enumerate(sorted({rating.question for rating in ratings}))}
    table = [[math.nan] * len(columns) for _ in raters]
    for rating in ratings:
        table[raters.index(rating.rater)][columns[rating.question]] = _LEVELS[rating.preferred]
    paired = [[value for value in of_question if not math.isnan(value)] for of_question in zip(*table, strict=True)]
    values = {value for of_question in paired if len(of_question) > 1 for value in of_question}
    if len(values) < 2:
        return None
    domain = sorted(_LEVELS.values())
    return float(krippendorff.alpha(table, value_domain=domain, level_of_measurement="ordinal"))


def _opinion(ids: Sequence[str], key: Key, ratings: Sequence[Rating], params: EvaluateParams) -> Opinion:
    there = set(ids)
    found = [rating for rating in ratings if rating.question in there]
    said = [rating.preferred for rating in found]
    # A win as 1 against 0, a loss as 0 against 1: shares, for which the comparison knows that no set gives certainty.
    gain = compare(
        Pairs(
            candidate=[float(value == "candidate") for value in said],
            reference=[float(value == "other") for value in said],
            groups=[key.questions[rating.question].group for rating in found],
        ),
        params.confidence,
        params.resamples,
        params.seed,
    )
    return Opinion(
        win_rate=(1 + gain.gain) / 2,
        ci_low=(1 + gain.ci_low) / 2,
        ci_high=(1 + gain.ci_high) / 2,
        p=gain.p,
        wins=said.count("candidate"),
        ties=said.count("tie"),
        losses=said.count("other"),
        questions=len(there),
        alpha=agreement([rating for rating in found if not key.questions[rating.question].is_same]),
    )
