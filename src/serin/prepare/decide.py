"""What becomes of each examined record once all of them are known: kept, or rejected for another record's sake."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serin.core.params import PrepareParams, SourceParams
from serin.prepare.duplicates.near import NONE, Flags, Index, find_duplicates
from serin.prepare.mix import over_weight
from serin.prepare.record.examine import BENCHMARK
from serin.prepare.split import SPLITS
from serin.prepare.spool import Spool

REASONS = (
    "",
    "sensitive_words",
    "exact_duplicate",
    "near_duplicate",
    "semantic_duplicate",
    "benchmark",
    "held_out_group",
    "over_weight",
)
_CODE = {reason: code for code, reason in enumerate(REASONS)}


@dataclass(frozen=True, slots=True)
class Decisions:
    """For each record the place of its reason in ``REASONS`` (0: kept), and the kept record that it resembles or -1.

    Benchmark records are neither kept nor rejected; ``is_benchmark`` tells them.
    """

    reason: NDArray[np.uint8]
    root: Index
    is_benchmark: Flags

    @property
    def kept(self) -> Flags:
        """Which records are written to a split."""
        kept: Flags = (self.reason == 0) & ~self.is_benchmark
        return kept

    def rejected_for(self, reason: str) -> Flags:
        """Which records are rejected for one of ``REASONS``."""
        rejected: Flags = self.reason == _CODE[reason]
        return rejected


def decide(
    spool: Spool, params: PrepareParams, sources: Sequence[SourceParams], objectionable: Sequence[int]
) -> Decisions:
    """Decide on all records of the spool.

    Args:
        sources: the source of each file, by the spool's column ``file``.
        objectionable: the records that a judge found to be so.
    """
    split = spool.column("split")
    is_benchmark = split == BENCHMARK
    reason = np.zeros(len(spool), dtype=np.uint8)
    reason[list(objectionable)] = _CODE["sensitive_words"]
    found = find_duplicates(spool, params.near_duplicates, reason == 0, is_benchmark)
    of = found.of
    near = (of != NONE) & ~found.exact
    if params.semantic_duplicates.model is not None:
        from serin.prepare.duplicates.semantic import mark_semantic

        mark_semantic(spool, params, (reason == 0) & (of == NONE), is_benchmark, of)
    root = _roots(of)
    resembles = root != NONE
    reason[resembles] = _CODE["semantic_duplicate"]
    reason[near] = _CODE["near_duplicate"]
    reason[found.exact] = _CODE["exact_duplicate"]
    reason[resembles & is_benchmark[root]] = _CODE["benchmark"]
    if params.split.by == "group":
        reason[_of_given_groups(spool, sources, (reason == 0) & ~is_benchmark)] = _CODE["held_out_group"]
    kept = (reason == 0) & ~is_benchmark
    distinct = [source for i, source in enumerate(sources) if source not in sources[:i]]
    source_of = np.array([distinct.index(source) for source in sources], dtype=np.int64)[spool.column("file")]
    train = kept & (split == SPLITS.index("train"))
    reason[over_weight(train, source_of, spool.exact_keys[:, 0], distinct)] = _CODE["over_weight"]
    return Decisions(reason, root, is_benchmark)


def _of_given_groups(spool: Spool, sources: Sequence[SourceParams], kept: Flags) -> Flags:
    """Train records of a group that a given test or validation file holds, where groups are to be held out whole."""
    is_given = np.array([source.split in ("test", "validation") for source in sources])[spool.column("file")]
    group = spool.column("group")
    held = np.unique(group[is_given & (group != 0)])
    in_train: Flags = kept & (spool.column("split") == SPLITS.index("train")) & np.isin(group, held)
    return in_train


def _roots(of: Index) -> Index:
    """The end of each chain of resemblance; -1 where a record resembles none."""
    root = of.copy()
    while len(deeper := np.flatnonzero((root != NONE) & (of[root] != NONE))):
        root[deeper] = of[root[deeper]]
    return root
