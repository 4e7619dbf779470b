"""Whether units fall on the arms as declared: a sequential test for any number of arms.

With a Dirichlet(c·w) prior on the true shares, the ratio of the marginal likelihood of the arms seen to their likelihood under
the declared shares w is a martingale with mean 1 if the split is as declared (Lindon, Malek, arXiv 2011.03567):

    ln E = ln Γ(c) - ln Γ(c + n) + Σ [ln Γ(c·w_i + n_i) - ln Γ(c·w_i)] - Σ n_i ln w_i

It depends on the counts alone. A sound split reaches 1/α in at most α of experiments (Ville 1939).
"""

import math
from collections.abc import Mapping

CONCENTRATION = 100.0
"""c: faults of a few hundredths are what is looked for."""


def log_e_split(units: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """The evidence that the true shares are others than ``weights``, which are positive and sum to 1."""
    n = sum(units.values())
    each = math.fsum(
        math.lgamma(CONCENTRATION * weight + units.get(arm, 0))
        - math.lgamma(CONCENTRATION * weight)
        - units.get(arm, 0) * math.log(weight)
        for arm, weight in weights.items()
    )
    return math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + n) + each
