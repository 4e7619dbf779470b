"""What a record's text should look like: pure functions of text, each costly step behind a screen that is exact."""

import html
import re
import unicodedata
from collections.abc import Callable
from typing import Any, Literal

import ftfy
from ftfy import TextFixerConfig
from ftfy.badness import MOJIBAKE_CATEGORIES

Mending = Literal["encoding", "normalisation", "invisible", "markup", "white_space"]

# Only what was decoded wrongly is mended: curly quotes and full-width punctuation are how people write.
_REPAIR = TextFixerConfig(
    unescape_html=False, uncurl_quotes=False, fix_character_width=False, fix_latin_ligatures=False, normalization=None
)
# ftfy looks for pairs of characters that come from wrong decoding, or for one of a few that are enough by themselves. Its
# own search costs ten times this one.
_COMMON = MOJIBAKE_CATEGORIES["common"]
_TELLING = "".join(chars for kind, chars in MOJIBAKE_CATEGORIES.items() if kind != "common")
_MAYBE_MOJIBAKE = re.compile(f"[\x80-\x9fŒœÃÂ]|[{_TELLING}][{_TELLING}{_COMMON}]|[{_COMMON}][{_TELLING}]")
# Zero-width space, word joiner, BOM, soft hyphen and the directional marks. The joiners U+200C and U+200D stay in
# scripts that need them, and between emoji.
_INVISIBLE = re.compile(
    "[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad\ufff9-\ufffb\U000e0000\U000e0001]"
)
# A joiner between Latin, Chinese or Japanese letters joins nothing.
_UNJOINED = "A-Za-z0-9\u00c0-\u024f\u3040-\u30ff\u4e00-\u9fff"
_JOINER = re.compile(f"(?<=[{_UNJOINED}])[\u200c\u200d]+(?=[{_UNJOINED}])")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")
_WIDE_BLANK = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
_BLANK_RUN = re.compile(r"(?<=\S)[ \t]+(?=\S)")
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029]")
_TRAILING = re.compile(r"[ \t]+(?=\n)")
_EMPTY_LINES = re.compile(r"\n{3,}")
_FENCE = "```"

# Left over from web pages. Tags that carry meaning of their own (code, sup, a with its address …) are no leftovers.
_TAG = re.compile(
    r"</?(?:p|br|div|span|font|b|i|u|em|strong|center|ul|ol|li|h[1-6]|table|tbody|thead|tr|td|th|section|article|hr)"
    r"(?:\s+[a-zA-Z-]+(?:\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>=]+)))*\s*/?>",
    re.IGNORECASE,
)
_BREAKING_TAG = re.compile(r"</?(?:p|br|div|ul|ol|li|h[1-6]|table|tr|section|article|hr)\b", re.IGNORECASE)
_ENTITY = re.compile(
    r"&(?:nbsp|amp|lt|gt|quot|apos|ndash|mdash|hellip|ldquo|rdquo|lsquo|rsquo|#[0-9]{2,6}|#x[0-9a-fA-F]{2,5});"
)
# A text with code in it, or about markup, means its tags.
_MEANS_MARKUP = re.compile(
    r"`|</?(?:html|head|body|code|pre|script|style|svg|xml)\b|\b(?:html|xml|markup)\b|\b(?-i:tags?)\b|标记语言"
    r"|(?-i:(?<=\w)<[A-Z]>)",
    re.IGNORECASE,
)
_ROUNDS = 64
_NOTHING: frozenset[Mending] = frozenset()


def clean_text(text: str, markup: Literal["strip", "keep"] = "strip") -> tuple[str, frozenset[Mending]]:
    """The text as it should be, and what was mended in it; cleaning it again changes nothing.

    Mojibake is decoded (ftfy), text composed (NFC), control and invisible characters and leftover HTML taken out, and
    white space settled.
    """
    if _is_clean(text):
        return text, _NOTHING
    mended: set[Mending] = set()
    for _ in range(_ROUNDS):
        before = text
        for kind, mend in _STEPS:
            if kind == "markup" and markup == "keep":
                continue
            after = mend(text)
            if after != text:
                mended.add(kind)
                text = after
        if text == before:
            break
    return text, frozenset(mended)


def clean_value(value: Any, markup: Literal["strip", "keep"] = "strip") -> Any:
    """A JSON value with every text in it cleaned, keys as they are."""
    if isinstance(value, str):
        return clean_text(value, markup)[0]
    if isinstance(value, list):
        return [clean_value(item, markup) for item in value]
    return {key: clean_value(item, markup) for key, item in value.items()} if isinstance(value, dict) else value


def _is_clean(text: str) -> bool:
    """Whether no step could change an ASCII text: most English texts are settled here."""
    return (
        text.isascii()
        and "<" not in text
        and "&" not in text
        and "  " not in text
        and " \n" not in text
        and "\n\n\n" not in text
        and text.replace("\n", "").isprintable()
        and text == text.strip()
    )


def _decode(text: str) -> str:
    # C1 controls are halves of wrongly decoded characters: ftfy has to see them before they are dropped.
    return ftfy.fix_encoding(text, _REPAIR) if not text.isascii() and _MAYBE_MOJIBAKE.search(text) else text


def _compose(text: str) -> str:
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def _drop_invisible(text: str) -> str:
    if text.isprintable():
        return text
    text = _CONTROL.sub("", text)
    return text if text.isascii() else _JOINER.sub("", _INVISIBLE.sub("", text))


def _strip_markup(text: str) -> str:
    has_tags, has_entities = "<" in text and _TAG.search(text), "&" in text and _ENTITY.search(text)
    if not (has_tags or has_entities) or _MEANS_MARKUP.search(text):
        return text
    if has_tags:
        text = _TAG.sub(lambda tag: "\n" if _BREAKING_TAG.match(tag.group()) else "", text)
    return _ENTITY.sub(lambda entity: html.unescape(entity.group()), text) if has_entities else text


def _settle_line_ends(text: str) -> str:
    return _LINE_ENDS.sub("\n", text) if "\r" in text or not text.isascii() else text


def _settle_white_space(text: str) -> str:
    """One blank between words and at most one empty line; indentation stays, and so does all that stands beside code."""
    if _FENCE not in text:
        if not text.isascii():
            text = _WIDE_BLANK.sub(" ", text)
        if "  " in text or "\t" in text or " \n" in text or "\n\n\n" in text:
            text = _EMPTY_LINES.sub("\n\n", _BLANK_RUN.sub(" ", _TRAILING.sub("", text)))
    return text.strip()


_STEPS: tuple[tuple[Mending, Callable[[str], str]], ...] = (
    ("encoding", _decode),
    ("normalisation", _compose),
    ("white_space", _settle_line_ends),
    ("invisible", _drop_invisible),
    ("markup", _strip_markup),
    ("white_space", _settle_white_space),
)
