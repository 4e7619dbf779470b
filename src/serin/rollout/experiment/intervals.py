"""Intervals for the mean of an arm that hold at any time, however often somebody looks.

For binary outcomes with mean p, the mixture over θ ~ Beta(a, b) of the likelihood ratios of θ to p,

    M_n(p) = B(a + k, b + n - k)/B(a, b) / (p^k (1 - p)^(n - k)),    k the sum of n outcomes,

is a martingale with mean 1 (Robbins 1970; Howard et al., arXiv 1810.08240, the beta-binomial mixture). By Ville's inequality
P(sup M_n(p) ≥ 1/α) ≤ α, so {p : M_n(p) < 1/α} holds the true mean at all n at once with probability at least 1 - α.

The same for any outcomes y in [0, 1] with mean p, such as scores: by Jensen's inequality y·ln A + (1-y)·ln B ≤
ln(yA + (1-y)B), so with A = θ/p and B = (1-θ)/(1-p) each factor A^y·B^(1-y) of the ratio is at most y·A + (1-y)·B, whose mean
is p·A + (1-p)·B = 1. Hence M_n(p) with a sum k that is not whole is a supermartingale, and (n, k) is all that is needed. Scores
that spread less than coins do get wider intervals than they might.

ln M_n(p) is convex in p and at most 0 at k/n, since no mixture exceeds the largest likelihood: the set is an interval around
k/n. It assumes a mean that does not move, so it is for showing; what is concluded rests on ``pairs``, which assumes none.
"""

import math
from typing import NamedTuple

PRIOR_A = PRIOR_B = 0.5
"""Jeffreys' prior: much of it lies near 0 and 1, where rates of errors are."""
_HALVINGS = 60


class Interval(NamedTuple):
    """``low`` and ``high`` bound a mean, or a difference of means."""

    low: float
    high: float


def mean_interval(n: int, total: float, alpha: float) -> Interval:
    """Where the mean of ``n`` outcomes in [0, 1] that sum to ``total`` lies, with an error of at most ``alpha`` over all n.

    Raises:
        ValueError: a total that n outcomes cannot have, or an alpha outside (0, 1).
    """
    if not (0 <= total <= n and 0 < alpha < 1):
        raise ValueError(f"n {n}, total {total}, alpha {alpha}: expected 0 <= total <= n and 0 < alpha < 1")
    if n == 0:
        return Interval(0.0, 1.0)
    mean = total / n
    low = 0.0 if total == 0 else _edge(n, total, alpha, outside=0.0, inside=mean)
    high = 1.0 if total == n else _edge(n, total, alpha, outside=1.0, inside=mean)
    return Interval(low, high)


def difference(one: Interval, other: Interval) -> Interval:
    """Where ``one`` mean minus the ``other`` lies, whenever both intervals hold: no error beyond theirs."""
    return Interval(one.low - other.high, one.high - other.low)


def log_m(n: int, total: float, p: float) -> float:
    """ln M_n(p), for p in (0, 1)."""
    mixture = _log_beta(PRIOR_A + total, PRIOR_B + n - total) - _log_beta(PRIOR_A, PRIOR_B)
    return mixture - total * math.log(p) - (n - total) * math.log1p(-p)


def _edge(n: int, total: float, alpha: float, outside: float, inside: float) -> float:
    """Where ln M_n crosses ln 1/α between two points; the one returned lies outside, so that rounding never narrows."""
    limit = math.log(1 / alpha)
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        if middle in (outside, inside) or not 0 < middle < 1:
            break
        if log_m(n, total, middle) < limit:
            inside = middle
        else:
            outside = middle
    return outside


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
