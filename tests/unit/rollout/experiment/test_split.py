"""A sound split is trusted, and a fault of a few hundredths is found."""

import itertools
import math
import random
from collections import Counter

import pytest

from serin.rollout.experiment.split import log_e_split

WEIGHTS = {"a": 0.5, "b": 0.3, "c": 0.2}


def test_under_the_declared_split_the_evidence_has_mean_one_exactly() -> None:
    for n in range(1, 7):
        mean = math.fsum(
            math.prod(WEIGHTS[arm] for arm in drawn) * math.exp(log_e_split(Counter(drawn), WEIGHTS))
            for drawn in itertools.product(WEIGHTS, repeat=n)
        )
        assert mean == pytest.approx(1.0)


def test_a_split_that_loses_users_of_one_arm_is_found() -> None:
    draw = random.Random(1)
    sound = Counter(draw.choices(list(WEIGHTS), list(WEIGHTS.values()), k=5000))
    assert log_e_split(sound, WEIGHTS) < math.log(1000)
    assert log_e_split({**sound, "c": round(0.7 * sound["c"])}, WEIGHTS) > math.log(1000)
