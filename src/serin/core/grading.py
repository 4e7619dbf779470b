"""Grading an answer against its reference: token F1, exact match, and the article that it cites.

Both are normalised first: NFKC (full-width forms, ligatures) and lower case. Traditional and simplified characters stay
different, and so do numerals in words and in digits.
"""

import re
import unicodedata
from collections import Counter
from functools import cache

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_NO_SPACES = {"zh", "ja", "th", "lo", "km", "my"}
_UNDETERMINED = "und"
# Thai and Lao, Burmese, Khmer, kana, Han: what a text in an unknown language is split at.
_CHARACTER = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\U00020000-\U0003ffff]"
)
_LAST_SCRIPT = 0x1E94A
_NUMBER = r"\d+(?:[.,:/]\d+)*"
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_MEANT_MARKS = "%‰"


def chinese_number(text: str) -> int | None:
    """The value of a Chinese numeral below ten thousand; None if it is none.

    With units (七十三 = 73, 一百零一 = 101) or digit by digit (一〇一 = 101, 二〇二四 = 2024).
    """
    if not text or any(char not in _DIGITS and char not in _UNITS for char in text):
        return None
    if not any(char in _UNITS for char in text):
        return int("".join(str(_DIGITS[char]) for char in text))
    total, digit = 0, None
    for char in text:
        if char in _DIGITS:
            digit = _DIGITS[char]
        else:
            total += (1 if digit is None else digit) * _UNITS[char]
            digit = None
    return total + (digit or 0)


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
    """Lower-cased words; single characters in a language that is written without spaces (ISO 639-1 code).

    In an undetermined language (``und``) the script decides, character by character. Single characters are what Chinese
    answers and summaries are commonly scored on (Cui et al. 2019, CMRC, arXiv 1810.07366; Hu et al. 2015, LCSTS, arXiv
    1506.05865): no choice of a word segmenter then moves a figure.
    """
    return [token for word in _words().findall(_normalised(text)) for token in _split(word, language)]


def token_f1(answer: str, reference: str, language: str) -> float:
    """Harmonic mean of token precision and recall, in [0, 1] (SQuAD, Rajpurkar et al. 2016, arXiv 1606.05250).

    Unlike there, English articles count.
    """
    given, wanted = Counter(tokens(answer, language)), Counter(tokens(reference, language))
    common = (given & wanted).total()
    if not common:
        return 0.0
    return 2 * common / (given.total() + wanted.total())


def exact_form(text: str, language: str) -> tuple[str, ...]:
    """What has to be equal in an exact match: words, whole numbers with sign and decimals (1.5 is not 15), and symbols (€, %, +).

    Punctuation, spaces, and commas between thousands do not count; in a language without spaces, words are characters.
    """
    form: list[str] = []
    for piece in _pieces().findall(_normalised(text)):
        if piece[-1].isdecimal():
            form.append(piece.replace(",", "") if _THOUSANDS.fullmatch(piece.lstrip("-")) else piece)
        elif piece[0].isalnum() or piece[0] == "_":
            form.extend(_split(piece, language))
        elif piece in _MEANT_MARKS or unicodedata.category(piece) in ("Sc", "Sm", "So"):
            form.append(piece)
    return tuple(form)


def exact_match(answer: str, reference: str, language: str) -> bool:
    """Whether both say the same but for case, width, punctuation and spaces: whether their ``exact_form`` is equal."""
    return exact_form(answer, language) == exact_form(reference, language)


def is_same_answer(one: str, other: str) -> bool:
    """Whether two models said the same, so that nobody needs to compare: but for blanks at the ends, letter for letter."""
    return one.strip() == other.strip()


def _normalised(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower().replace("\N{MINUS SIGN}", "-")


def _split(word: str, language: str) -> list[str]:
    if word.isascii():
        return [word]
    if language.partition("-")[0] in _NO_SPACES:
        return list(word)
    if language == _UNDETERMINED:
        return _CHARACTER.sub(r" \g<0> ", word).split()
    return [word]


@cache
def _words() -> re.Pattern[str]:
    return re.compile(rf"\w[\w{_marks()}]*")


@cache
def _pieces() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)-{_NUMBER}|{_NUMBER}|[^\W\d](?:[^\W\d]|[{_marks()}])*|[^\w\s]")


@cache
def _marks() -> str:
    r"""Vowel signs and accents, as ranges of a character class: \w lacks them, and Hindi or Thai words would fall apart."""
    ranges: list[list[int]] = []
    for code in range(0x300, _LAST_SCRIPT + 1):
        if unicodedata.category(chr(code)) not in ("Mn", "Mc") or 0xFE00 <= code <= 0xFE0F:
            continue  # variation selectors choose how the character before looks
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
