"""Grading an answer against its reference: token F1, and the article that it cites."""

import re
import unicodedata
from collections import Counter

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_NO_SPACES = {"zh", "ja", "th"}
_WORD = re.compile(r"\w+")


def chinese_number(text: str) -> int | None:
    """The value of a Chinese numeral below ten thousand, such as 七十三 = 73 or 一百零一 = 101; None if it is none."""
    total, digit = 0, None
    for char in text:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char in _UNITS:
            total += (1 if digit is None else digit) * _UNITS[char]
            digit = None
        else:
            return None
    return total + (digit or 0) if text else None


def cited_article(text: str, pattern: str) -> int | None:
    """The number of the first article that ``text`` cites; the first group of ``pattern`` that matched, as a number."""
    found = re.search(pattern, text)
    if found is None:
        return None
    number = next((group for group in found.groups() if group is not None), None)
    if number is None:
        return None
    return int(number) if number.isdecimal() else chinese_number(number)


def right_article(answer: str, reference: str, pattern: str) -> bool:
    """Whether the answer cites the article that the reference cites; False where the reference cites none."""
    wanted = cited_article(reference, pattern)
    return wanted is not None and cited_article(answer, pattern) == wanted


def tokens(text: str, language: str) -> list[str]:
    """Lower-cased words; single characters in a language that is written without spaces (ISO 639-1 code)."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
    if language not in _NO_SPACES:
        return words
    return [char for word in words for char in ([word] if word.isascii() else word)]


def token_f1(answer: str, reference: str, language: str) -> float:
    """Harmonic mean of token precision and recall, in [0, 1] (SQuAD, Rajpurkar et al. 2016, arXiv 1606.05250)."""
    given, wanted = Counter(tokens(answer, language)), Counter(tokens(reference, language))
    common = (given & wanted).total()
    if not common:
        return 0.0
    return 2 * common / (given.total() + wanted.total())
