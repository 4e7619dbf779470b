"""How alike two texts are, reckoned apart from ``prepare``: what it must take for the same, and what it must not."""

import re
import unicodedata

_WORD = re.compile(r"\w+")
_HAN = re.compile("[\u4e00-\u9fff]")


def shingles(text: str) -> frozenset[str]:
    """Runs of 4 characters of the words in lower case (NFKC), or of 2 where a quarter of them is Chinese."""
    plain = " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
    size = 2 if len(_HAN.findall(plain)) * 4 >= len(plain) else 4
    return frozenset(plain[i : i + size] for i in range(max(1, len(plain) - size + 1)))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard similarity."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
