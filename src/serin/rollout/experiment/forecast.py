"""How many more units a claim needs, if the arms go on as they did."""

import math
from collections.abc import Mapping

from serin.rollout.eprocess import WORSE, Outcome, guesses, log_e
from serin.rollout.experiment.pairs import Pair


def units_to_prove(pair: Pair, weights: Mapping[str, float], margin: float, needed: float) -> float:
    """Units of all arms until ln E of ``pair`` reaches ``needed``, at its arms' shares of bad outcomes so far.

    ln E of one guess grows by its mean a unit of the pair, and E is at least the share of that guess times its own E: so
    the fewest over the guesses is an estimate, usually a few per cent too high. inf where no guess grows.
    """
    if pair.log_e >= needed:
        return 0.0
    evidence = pair.evidence
    if not evidence.stable_units or not evidence.canary_units:
        return math.inf
    both = weights[pair.worse] + weights[pair.better]
    weight = weights[pair.worse] / both
    rates = (
        ("stable", 1 - weight, evidence.stable_bad / evidence.stable_units),
        ("canary", weight, evidence.canary_bad / evidence.canary_units),
    )
    stable, worse, _ = guesses(evidence.stable_bad, evidence.stable_units, margin)
    fewest = math.inf
    for guess, canary, so_far in zip(WORSE, worse, evidence.log_abort, strict=True):
        growth = math.fsum(
            share * chance * log_e(Outcome(arm, weight, y), stable, canary, margin)  # type: ignore[arg-type]  # both are arms
            for arm, share, rate in rates
            for y, chance in ((1, rate), (0, 1 - rate))
        )
        if growth > 0:
            fewest = min(fewest, max(0.0, needed - math.log(guess.share) - so_far) / growth)
    return fewest / both
