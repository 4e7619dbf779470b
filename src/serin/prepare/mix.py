"""How much of each source goes into the train split."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from serin.core.params import SourceParams

_ROUNDING = 1e-9


def over_weight(
    train: NDArray[np.bool_], source_of: NDArray[np.int64], hashes: NDArray[np.uint64], sources: Sequence[SourceParams]
) -> NDArray[np.bool_]:
    """Which train records to leave out, so that no source with a weight makes up more than that share of the split.

    Sources without a weight are kept whole. Which records of the others stay depends on their hashes alone: the lowest do,
    so that more data takes more of the same.

    Args:
        train: whether each record is in the train split.
        source_of: the place of each record's source in ``sources``.
        hashes: a uniform hash of each record.
    """
    out = np.zeros(len(train), dtype=bool)
    weights = {i: source.weight for i, source in enumerate(sources) if source.weight is not None}
    if not weights:
        return out
    counts = {i: int((train & (source_of == i)).sum()) for i in weights}
    rest = int((train & ~np.isin(source_of, list(weights))).sum())
    total = _total(rest, counts, weights)
    for i, weight in weights.items():
        members = np.flatnonzero(train & (source_of == i))
        out[members[np.argsort(hashes[members], kind="stable")[int(weight * total + _ROUNDING) :]]] = True
    return out


def _total(rest: int, counts: Mapping[int, int], weights: Mapping[int, float]) -> float:
    """Records of the mixed split: sources that have more than their share are cut to it, the others are taken whole."""
    cut = set(weights)
    while True:
        whole = sum(count for i, count in counts.items() if i not in cut)
        total = (rest + whole) / (1 - sum(weights[i] for i in cut))
        short = {i for i in cut if counts[i] <= weights[i] * total}
        if not short:
            return total
        cut -= short
