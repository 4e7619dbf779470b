"""Records that ask the same: exactly after normalisation, or nearly by MinHash-LSH; judged on the user's turns.

The answer is left out on purpose: phrasings that share an answer are no duplicates of each other.
"""

import re
import unicodedata

from datasketch import MinHash, MinHashLSH

from serin.core.params.data import NearDuplicateParams

_NOT_WORD = re.compile(r"[\W_]+")
_NUMBER = re.compile("[0-9]+|[〇零一二两三四五六七八九十百千万]+")
_CJK = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_SHINGLE_CHINESE = 2
_SHINGLE_OTHER = 4
# The index offers candidates well below the threshold, and their true similarity decides: bands that are tuned to the
# threshold itself would miss about a fifth of the pairs just above it.
_CANDIDATES_BELOW = 0.2
_LEAST_LSH_THRESHOLD = 0.1


def normalised(text: str) -> str:
    """What two texts that say the same share: NFKC, case folded, words apart by one space, no punctuation.

    A text of punctuation alone stays as it is.
    """
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip() or text


def shingles(text: str) -> frozenset[str]:
    """The runs of 2 characters (Chinese) or 4 (elsewhere) of a normalised text, spaces included."""
    size = _SHINGLE_CHINESE if _CJK.search(text) else _SHINGLE_OTHER
    return frozenset(text[i : i + size] for i in range(max(1, len(text) - size + 1)))


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the shingles of two normalised texts."""
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def ask_the_same(one: str, other: str, threshold: float) -> bool:
    """Whether two normalised questions are near duplicates: alike, and naming the same numbers.

    "After one year" and "after three years" differ by little and ask different things.
    """
    return similarity(one, other) >= threshold and sorted(_NUMBER.findall(one)) == sorted(_NUMBER.findall(other))


class SeenQuestions:
    """The questions kept so far; the first of its kind stays, later ones are duplicates of it."""

    def __init__(self, params: NearDuplicateParams) -> None:
        self._params = params
        self._exact: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._index = MinHashLSH(
            threshold=max(_LEAST_LSH_THRESHOLD, params.threshold - _CANDIDATES_BELOW), num_perm=params.permutations
        )

    def add(self, key: str, user_text: str) -> tuple[str, str] | None:
        """Take in one question under its key, or say of which key it is a duplicate, and how.

        Returns:
            None where it is new, else (``exact_duplicate`` or ``near_duplicate``, the earlier key).
        """
        text = normalised(user_text)
        if (earlier := self._exact.get(text)) is not None:
            return "exact_duplicate", earlier
        sketch = MinHash(num_perm=self._params.permutations, seed=1)
        sketch.update_batch([shingle.encode() for shingle in sorted(shingles(text))])
        candidates = [
            other
            for other in self._index.query(sketch)
            if ask_the_same(text, self._texts[other], self._params.threshold)
        ]
        if candidates:
            return "near_duplicate", min(candidates, key=lambda other: (-similarity(text, self._texts[other]), other))
        self._exact[text] = key
        self._texts[key] = text
        self._index.insert(key, sketch)
        return None
