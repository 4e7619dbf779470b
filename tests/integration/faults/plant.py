"""Which record gets which fault, at rates drawn by chance."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from .decoys import DECOYS
from .planted import COPIED_FROM, MENDED, REJECTED, Corpus, Planted, can_have
from .private import PRIVATE
from .records import SHAPES, Composer, Record
from .spoil import Spoiler

_RATES = (0.003, 0.02)
_ORIGINALS = 20_000
_GIVEN = {"test": 700, "benchmark": 600}
_NAMES = (*REJECTED, *MENDED, *PRIVATE, *DECOYS, "other_number", "shared_answer")


def plant(seed: int) -> Corpus:
    """20,000 originals and the copies of some of them, with each fault in records of its own, beside a test file and a benchmark.

    The same seed always gives the same corpus.
    """
    chance = random.Random(seed)
    composer = Composer(chance)
    spoiler = Spoiler(chance, composer)
    made = iter(composer.records(_ORIGINALS + sum(_GIVEN.values())))
    given = {shape: [_in_shape(shape, record) for record in islice(made, count)] for shape, count in _GIVEN.items()}
    waiting = list(made)
    rates = {name: chance.uniform(*_RATES) for name in _NAMES}
    planted: list[Planted] = []
    for name, rate in rates.items():
        count = int(rate * _ORIGINALS)
        if name in COPIED_FROM:
            planted += [spoiler.copy(name, record) for record in chance.sample(given[COPIED_FROM[name]], count)]
        else:
            hosts, waiting = _hosts(name, waiting, count)
            planted += [one for record in hosts for one in _planted(spoiler, name, record)]
    planted += [Planted(record, record) for record in waiting]
    chance.shuffle(planted)
    by_shape: dict[str, list[Planted]] = {shape: [] for shape in SHAPES}
    for one in planted:
        by_shape[one.written.shape].append(one)
    for part in by_shape.values():  # the first record says which format its file has
        part.insert(0, part.pop(next(place for place, one in enumerate(part) if one.fault is None)))
    clean = {shape: [Planted(record, record) for record in part] for shape, part in given.items()}
    return Corpus(by_shape | clean, rates)


def _hosts(name: str, waiting: Sequence[Record], count: int) -> tuple[list[Record], list[Record]]:
    """The first ``count`` records that can have the fault, and all others."""
    hosts = list(islice((record for record in waiting if can_have(name, record)), count))
    taken = {record.key for record in hosts}
    return hosts, [record for record in waiting if record.key not in taken]


def _planted(spoiler: Spoiler, name: str, record: Record) -> list[Planted]:
    if name in ("exact_copy", "near_copy"):
        return [Planted(record, record), spoiler.copy(name, record)]
    if name in REJECTED:
        return [spoiler.rejected(name, record)]
    if name in MENDED:
        return [spoiler.mended(name, record)]
    if name in PRIVATE:
        return [spoiler.redacted(name, record)]
    return spoiler.decoy(name, record)


def _in_shape(shape: str, record: Record) -> Record:
    """A benchmark holds one question and one answer a record; the test file holds what it is given."""
    turns = record.turns
    if shape == "benchmark":
        asked = next(turn for turn in turns if turn.role == "user")
        turns = (asked, replace(turns[-1], reasoning=None, train=True))
    return replace(record, shape=shape, turns=turns, has_tools=any(turn.calls for turn in turns))
