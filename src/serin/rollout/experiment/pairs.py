"""Which arm beats which, whatever drift they share: the rollout's e-process for every ordered pair of arms.

Between two arms a and b with fixed shares w_a and w_b, look only at the units that got one of them. Given that, a unit got a
with probability w_a/(w_a + w_b): a known split, so the rollout's e-value applies (``eprocess``): with b in the place of stable
and a in that of the canary, E tests H0 "a is at most ``margin`` worse than b at every moment", and P(sup E ≥ 1/α') ≤ α' under
H0, however outcomes drift and however often somebody looks.

With K arms there are K(K-1) such claims. Each counts as proven at K(K-1)/α, so all that are ever proven are true together with
probability at least 1 - α (union bound). An arm that beats every other is the winner; naming one that does not beat all
others, or naming one among equals, thus happens in at most α of experiments. This holds for each metric by itself.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from serin.rollout.eprocess import MetricEvidence, Outcome, fold


class Tally(NamedTuple):
    """Units of one arm in one batch, and how many of them were bad."""

    units: int
    bad: int


class Pair(BaseModel):
    """The evidence that ``worse`` is worse than ``better`` in a metric by more than the margin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    worse: str
    better: str
    evidence: MetricEvidence = MetricEvidence()
    """``better`` as its stable, ``worse`` as its canary."""

    @property
    def log_e(self) -> float:
        """The largest ln E so far."""
        return self.evidence.peak_abort


def all_pairs(metrics: Sequence[str], arms: Sequence[str]) -> list[Pair]:
    """Every ordered pair, in every metric."""
    return [Pair(metric=m, worse=a, better=b) for m in metrics for a in arms for b in arms if a != b]


def fold_pair(pair: Pair, batch: Mapping[str, Tally], weights: Mapping[str, float], margin: float) -> Pair:
    """Take in one batch, by arm; units of other arms say nothing here."""
    weight = weights[pair.worse] / (weights[pair.worse] + weights[pair.better])
    outcomes = []
    for arm, place in ((pair.better, "stable"), (pair.worse, "canary")):
        units, bad = batch.get(arm, Tally(0, 0))
        outcomes += [Outcome(place, weight, 1)] * bad + [Outcome(place, weight, 0)] * (units - bad)  # type: ignore[arg-type]  # both are arms
    return pair.model_copy(update={"evidence": fold(pair.evidence, outcomes, margin)}) if outcomes else pair


def log_needed(arms: int, alpha: float) -> float:
    """ln E at which a claim about a pair is proven."""
    return math.log(arms * (arms - 1) / alpha)


def beaten_by(pairs: Sequence[Pair], metric: str, arm: str, needed: float) -> list[str]:
    """Which arms are proven worse than ``arm``."""
    return [p.worse for p in pairs if (p.metric, p.better) == (metric, arm) and p.log_e >= needed]


def winner(pairs: Sequence[Pair], metric: str, arms: Sequence[str], alpha: float) -> str | None:
    """The arm that is proven better than every other; None while there is none."""
    needed = log_needed(len(arms), alpha)
    found = [arm for arm in arms if len(beaten_by(pairs, metric, arm, needed)) == len(arms) - 1]
    return found[0] if len(found) == 1 else None
