"""The forecast tells roughly how long a claim takes."""

import math
import random
from statistics import median

from serin.rollout.experiment.forecast import units_to_prove
from serin.rollout.experiment.pairs import Pair, Tally, fold_pair, log_needed

WEIGHTS = {"stable": 0.5, "x": 0.25, "y": 0.25}
NEEDED = log_needed(3, 0.05)


def grown(draw: random.Random, pair: Pair, until_units: float) -> tuple[Pair, int]:
    """Five units a batch, until it is proven or so many units came."""
    units = 0
    while units < until_units and pair.log_e < NEEDED:
        batch: dict[str, Tally] = {}
        for _ in range(5):
            arm = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            seen = batch.get(arm, Tally(0, 0))
            batch[arm] = Tally(seen.units + 1, seen.bad + int(draw.random() < (0.1 if arm == "x" else 0.2)))
        units += 5
        pair = fold_pair(pair, batch, WEIGHTS, 0.0)
    return pair, units


def test_it_is_near_the_median_of_what_it_takes() -> None:
    took, foretold = [], []
    for seed in range(25):
        draw = random.Random(seed)
        pair, begun = grown(draw, Pair(metric="error", worse="stable", better="x"), 400)
        foretold.append(begun + units_to_prove(pair, WEIGHTS, 0.0, NEEDED))
        took.append(begun + grown(draw, pair, 20_000)[1])
    assert 0.4 < median(foretold) / median(took) < 2.5


def test_a_claim_that_is_proven_needs_nobody_and_one_that_does_not_grow_is_never_proven() -> None:
    pair, _ = grown(random.Random(1), Pair(metric="error", worse="stable", better="x"), 20_000)
    assert units_to_prove(pair, WEIGHTS, 0.0, NEEDED) == 0.0
    reverse, _ = grown(random.Random(1), Pair(metric="error", worse="x", better="stable"), 1000)
    assert units_to_prove(reverse, WEIGHTS, 0.0, NEEDED) == math.inf
    assert units_to_prove(Pair(metric="error", worse="x", better="y"), WEIGHTS, 0.0, NEEDED) == math.inf
