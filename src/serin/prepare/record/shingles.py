"""What makes two texts alike: their normal form, its shingles, and the numbers they name."""

import re
import unicodedata

# What tells nothing apart: punctuation, white space and controls. Symbols stay ("C", "C++" and "C#" are three things), and
# so do marks, which are vowels in many scripts.
_TELLING = frozenset("#%&@*/\\+")
_CHINESE_OR_KANA = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
# Chinese numerals are numbers but in words such as 一下 (a little) and 一般 (as a rule).
_NUMBER = re.compile("[0-9]+|[〇零一二两三四五六七八九十百千万]+(?![下些直定般样共旦起切律致向])")
# What stands before a question's own words in lists of questions.
_ENUMERATION = re.compile(r"^(?:(?:question|problem|exercise|q|frage|aufgabe) ?[0-9]+ |第? ?[0-9]+ ?题 ?)")
# A hyphen that makes a number negative is no punctuation.
_MINUS = re.compile(r"(?<![^\s(=*/+])-(?=[0-9])")
_SHARE_WITHOUT_SPACES = 0.25
SHINGLE_CHARS_WITHOUT_SPACES = 2
SHINGLE_CHARS = 4


def _left_out(point: int) -> bool:
    return unicodedata.category(chr(point))[0] in "PZC" and chr(point) not in _TELLING


# Of the basic plane: what lies beyond it and could be left out is punctuation of scripts that nobody writes today.
_LEFT_OUT = re.compile(
    "[{}]+".format(
        "".join(rf"\u{point:04x}" for point in range(0x10000) if not 0xD800 <= point < 0xE000 and _left_out(point))
    )
)
_ASCII = {point: " " for point in range(128) if _left_out(point)}


def normalised(text: str) -> str:
    """What two texts that say the same share: NFKC, case folded, words apart by one space, no punctuation.

    A text of punctuation alone stays as it is.
    """
    if "-" in text:
        text = _MINUS.sub("\u2212", text)
    if text.isascii():
        return " ".join(text.lower().translate(_ASCII).split()) or text
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _LEFT_OUT.sub(" ", folded).strip() or text


def shingle_chars(text: str) -> int:
    """How long the shingles of a normalised text are: 2 where words have no spaces (Chinese, Japanese), else 4."""
    if text.isascii():
        return SHINGLE_CHARS
    without_spaces = len(_CHINESE_OR_KANA.findall(text))
    return SHINGLE_CHARS_WITHOUT_SPACES if without_spaces >= _SHARE_WITHOUT_SPACES * len(text) else SHINGLE_CHARS


def shingles(text: str) -> frozenset[str]:
    """The runs of characters of a normalised text, spaces included; a shorter text is one shingle."""
    size = shingle_chars(text)
    return frozenset([text[i : i + size] for i in range(max(1, len(text) - size + 1))])


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard similarity of two sets of shingles."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def numbers_in(text: str) -> tuple[str, ...]:
    """The numbers of a normalised text, in order, but for the number of the question in a list of them.

    "After 1 year" and "after 3 years" differ by little and ask different things.
    """
    return tuple(_NUMBER.findall(_ENUMERATION.sub("", text)))
