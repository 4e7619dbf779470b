"""Which records resemble an earlier one: exactly after normalisation, or nearly. The first of its kind stays.

No two records that are kept are found alike, so none that judges has its like among those that train.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from serin.core.params import NearDuplicateParams
from serin.prepare.record.minhash import estimated_similarity
from serin.prepare.record.shingles import normalised, shingles, similarity
from serin.prepare.spool import Spool

Index = NDArray[np.int64]
Flags = NDArray[np.bool_]

NONE = -1
# Members of one band's bucket that a record is compared with: the first, and this many before it. In a bucket that large
# most resemble the first, and the others meet in other bands.
_NEIGHBOURS = 16
# A pair is confirmed by its shingles unless its estimate lies this many standard errors below the threshold.
_CONFIDENCE = 4.0
_PAIRS_AT_ONCE = 1 << 16
_SETS_HELD = 4096


@dataclass(frozen=True, slots=True)
class Duplicates:
    """For each record the number of the earlier one that it resembles, or -1; ``exact`` says where they are equal."""

    of: Index
    exact: Flags


def find_duplicates(spool: Spool, params: NearDuplicateParams, alive: Flags, always_kept: Flags) -> Duplicates:
    """Compare all records that are ``alive``; those ``always_kept`` (benchmarks) only take others out.

    Near duplicates are those whose shingles have a Jaccard similarity of at least ``params.threshold`` and which name the
    same numbers. Candidates come from LSH bands; each is confirmed on its text.
    """
    of = np.full(len(spool), NONE, dtype=np.int64)
    _mark_exact(spool.exact_keys, alive, always_kept, of)
    exact = of != NONE
    texts = _Texts(spool, params.on)
    candidates = _candidates(spool, params, alive & ~exact)
    for later, earlier in _confirmed(candidates, of, always_kept, texts, params.threshold):
        of[later] = earlier
    return Duplicates(of, exact)


def _mark_exact(keys: NDArray[np.uint64], alive: Flags, always_kept: Flags, of: Index) -> None:
    numbers = np.flatnonzero(alive)
    if not len(numbers):
        return
    order = numbers[np.lexsort((numbers, keys[numbers, 1], keys[numbers, 0]))]
    same = np.concatenate(([False], (keys[order[1:]] == keys[order[:-1]]).all(axis=1)))
    firsts = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
    marked = same & ~always_kept[order]
    of[order[marked]] = order[firsts[marked]]


def _candidates(spool: Spool, params: NearDuplicateParams, alive: Flags) -> tuple[Index, Index]:
    """Pairs (earlier, later) that share a band, name the same numbers and have a similarity that may reach the threshold."""
    sketches, named = spool.sketches(), spool.column("numbers")
    margin = _CONFIDENCE * (params.threshold * (1 - params.threshold) / params.permutations) ** 0.5
    numbers = np.flatnonzero(alive)
    count = len(spool)
    found = np.empty(0, dtype=np.int64)
    for band in range(spool.band_count):
        keys = spool.band(band)[numbers]
        order = np.argsort(keys, kind="stable")
        fresh = [found]
        for earlier, later in _meetings(keys[order], numbers[order]):
            same_numbers = named[earlier] == named[later]
            earlier, later = earlier[same_numbers], later[same_numbers]
            likely = estimated_similarity(sketches[earlier], sketches[later]) >= params.threshold - margin
            fresh.append(later[likely] * count + earlier[likely])
        found = np.unique(np.concatenate(fresh))
    later, earlier = np.divmod(found, max(1, count))
    return earlier, later


def _meetings(keys: NDArray[np.uint64], members: Index) -> Iterator[tuple[Index, Index]]:
    """Pairs of one bucket, a bounded number at a time; ``keys`` are sorted, and equal in a bucket."""
    same = np.concatenate(([False], keys[1:] == keys[:-1]))
    at = np.flatnonzero(same)
    first = np.maximum.accumulate(np.where(same, 0, np.arange(len(keys))))
    far = at[at - first[at] > _NEIGHBOURS]
    for start in range(0, len(far), _PAIRS_AT_ONCE):
        part = far[start : start + _PAIRS_AT_ONCE]
        yield members[first[part]], members[part]
    for distance in range(1, _NEIGHBOURS + 1):
        at = at[at - first[at] >= distance]
        for start in range(0, len(at), _PAIRS_AT_ONCE):
            part = at[start : start + _PAIRS_AT_ONCE]
            yield members[part - distance], members[part]


def _confirmed(
    candidates: tuple[Index, Index], of: Index, always_kept: Flags, texts: "_Texts", threshold: float
) -> Iterator[tuple[int, int]]:
    """Each later record with the earlier, kept one that it is most like; sees what its consumer writes into ``of``.

    Where a candidate was itself taken out, the record that it resembles is looked at in its place.
    """
    earlier, later = candidates
    numbers, starts = np.unique(later, return_index=True)
    for number, start, end in zip(numbers.tolist(), starts, [*starts[1:], len(later)], strict=False):
        if always_kept[number]:
            continue
        kept = {other if of[other] == NONE else int(of[other]) for other in earlier[start:end].tolist()}
        likes = [(similarity(texts.shingles(number), texts.shingles(other)), -other) for other in kept]
        most, best = max(likes)
        if most >= threshold:
            yield number, -best


class _Texts:
    """The shingles of records, from the spool, the latest of them held."""

    def __init__(self, spool: Spool, on: Literal["user", "conversation"]) -> None:
        self.shingles: Callable[[int], Any] = lru_cache(_SETS_HELD)(
            lambda number: shingles(normalised(spool.conversation(number).text(on)))
        )
