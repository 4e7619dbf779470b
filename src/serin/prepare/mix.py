"""How much of each source goes into the train split."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from serin.core.params import SourceParams


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
    weighted = {i: source.weight for i, source in enumerate(sources) if source.weight is not None}
    if not weighted:
        return out
    rest = int((train & ~np.isin(source_of, list(weighted))).sum())
    for i, weight in weighted.items():
        members = np.flatnonzero(train & (source_of == i))
        allowed = int(weight / (1 - sum(weighted.values())) * rest)
        out[members[np.argsort(hashes[members], kind="stable")[allowed:]]] = True
    return out
