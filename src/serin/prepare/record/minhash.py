"""MinHash signatures and LSH bands for a batch of texts at once (Broder 1997; Indyk and Motwani 1998)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.prepare.record.shingles import SHINGLE_CHARS, shingle_chars

Words = NDArray[np.uint32]

_LEAST_FOUND = 0.995
_MIX = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D), np.uint32(0x27D4EB2F))
_BAND_MIX = np.uint64(0x9E3779B97F4A7C15)


def bands_for(threshold: float, permutations: int) -> tuple[int, int]:
    """(bands, rows a band): the most rows at which a pair at the threshold still meets in some band with 99.5 % chance.

    A pair of similarity s meets with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman and Ullman, Mining of Massive
    Datasets, §3.4). More rows make fewer chance meetings.
    """
    for rows in range(permutations // 2, 1, -1):
        bands = permutations // rows
        if 1 - (1 - threshold**rows) ** bands >= _LEAST_FOUND:
            return bands, rows
    return permutations, 1


@dataclass(frozen=True, slots=True)
class Sketches:
    """For n texts: ``bands`` (n × bands, uint64), equal where two texts meet, and ``bytes_`` (n × permutations, uint8).

    ``bytes_`` is the low byte of each minimum: enough to estimate a similarity (Li and König 2010, b-bit minwise hashing).
    """

    bands: NDArray[np.uint64]
    bytes_: NDArray[np.uint8]


class MinHasher:
    """Makes signatures with a fixed family of permutations, so that they are the same on any machine and day."""

    def __init__(self, threshold: float, permutations: int) -> None:
        self.bands, self._rows = bands_for(threshold, permutations)
        self._permutations = permutations
        stream = hashlib.shake_256(b"serin minhash").digest(8 * permutations)
        words = np.frombuffer(stream, dtype="<u4").astype(np.uint32)
        # x -> a·x + b with an odd a is a permutation of the 32-bit words.
        self._a: Words = words[:permutations] | np.uint32(1)
        self._b: Words = words[permutations:]

    def sketch(self, texts: Sequence[str]) -> Sketches:
        """The sketches of normalised texts, in their order."""
        minima = np.empty((self._permutations, len(texts)), dtype=np.uint32)
        sizes = np.array([shingle_chars(text) for text in texts])
        for size in np.unique(sizes):
            chosen = np.flatnonzero(sizes == size)
            minima[:, chosen] = self._minima([texts[i] for i in chosen], int(size))
        return Sketches(self._bands(minima), np.ascontiguousarray((minima & np.uint32(0xFF)).astype(np.uint8).T))

    def _minima(self, texts: Sequence[str], size: int) -> Words:
        hashes, starts = hash_shingles(texts, size)
        minima = np.empty((self._permutations, len(texts)), dtype=np.uint32)
        permuted = np.empty_like(hashes)
        for i in range(self._permutations):
            np.multiply(hashes, self._a[i], out=permuted)
            np.add(permuted, self._b[i], out=permuted)
            np.minimum.reduceat(permuted, starts, out=minima[i])
        return minima

    def _bands(self, minima: Words) -> NDArray[np.uint64]:
        rows = minima[: self.bands * self._rows].reshape(self.bands, self._rows, -1).astype(np.uint64)
        keys = np.zeros((self.bands, minima.shape[1]), dtype=np.uint64)
        for row in range(self._rows):
            keys = (keys ^ rows[:, row]) * _BAND_MIX
            keys ^= keys >> np.uint64(29)
        return np.ascontiguousarray(keys.T)


def hash_shingles(texts: Sequence[str], size: int) -> tuple[Words, NDArray[Any]]:
    """A 32-bit hash of every shingle of ``size`` characters, texts one after another, and where each text begins.

    As many hashes as characters: those that would run over a text's end repeat its first shingle, which no minimum sees.
    """
    padded = [text if len(text) >= size else text.ljust(size, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    points = np.frombuffer(("".join(padded) + "\0" * SHINGLE_CHARS).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    total = int(lengths.sum())
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    hashes = points[:total] * _MIX[0]
    for i in range(1, size):
        hashes ^= hashes >> np.uint32(15)
        hashes += points[i : total + i]
        hashes *= _MIX[i]
    hashes ^= hashes >> np.uint32(16)
    hashes *= _MIX[1]
    hashes ^= hashes >> np.uint32(13)
    of_text = np.repeat(np.arange(len(texts)), lengths)
    runs_over = np.arange(total) > (starts + lengths - size)[of_text]
    hashes[runs_over] = hashes[starts[of_text[runs_over]]]
    return hashes, starts


def estimated_similarity(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Jaccard similarity of pairs of sketches (n × permutations each); low bytes agree by chance once in 256."""
    agree: NDArray[np.float64] = (one == other).mean(axis=1)
    estimated: NDArray[np.float64] = (agree - 1 / 256) / (1 - 1 / 256)
    return estimated
