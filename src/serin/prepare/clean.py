"""What a record's text should look like, and its language: pure functions of text."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import ftfy
from ftfy import TextFixerConfig

from serin.core.conversation import ROLES, Message, faults_of_turns

# Only what was decoded wrongly is mended: curly quotes and full-width punctuation are how people write.
_REPAIR = TextFixerConfig(
    unescape_html=False, uncurl_quotes=False, fix_character_width=False, fix_latin_ligatures=False, normalization=None
)
# Zero-width space, word joiner, BOM, soft hyphen and the directional marks. The joiners U+200C and U+200D stay where they
# stand between letters: Persian and emoji need them.
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_BLANKS = re.compile("[ \t\u00a0\u2000-\u200a\u202f\u205f]+")
_EDGES = re.compile(r" ?\n ?")
_EMPTY_LINES = re.compile(r"\n{3,}")
_CJK = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LETTERS = re.compile(r"[^\W\d_]")
_LANGUAGE_CODE = re.compile(r"[a-z]{2}")
_CHINESE_SHARE = 0.3


def clean_text(text: str) -> str:
    """Mend mojibake (ftfy), compose (NFC), drop control and invisible characters, and settle the white space."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # C1 controls are halves of wrongly decoded characters: ftfy has to see them before they are dropped.
    if not text.isascii():
        text = unicodedata.normalize("NFC", ftfy.fix_encoding(text, _REPAIR))
    text = _INVISIBLE.sub("", _CONTROL.sub("", text))
    text = _EDGES.sub("\n", _BLANKS.sub(" ", text))
    return _EMPTY_LINES.sub("\n\n", text).strip()


def language_of(text: str, declared: Any = None) -> str:
    """The declared language where it is an ISO 639-1 code; else ``zh`` from 30 % CJK letters on, ``en`` below.

    ``und`` where there is no letter at all. Other languages than these two have to be declared.
    """
    if isinstance(declared, str) and _LANGUAGE_CODE.fullmatch(declared):
        return declared
    letters = len(_LETTERS.findall(text))
    if not letters:
        return "und"
    return "zh" if len(_CJK.findall(text)) / letters >= _CHINESE_SHARE else "en"


def turns_of(messages: Sequence[tuple[str, str]]) -> tuple[Message, ...] | str:
    """Clean (role, content) pairs into turns, or say why they cannot be trained on.

    Reasons: ``unknown_role``, ``empty_answer`` (the last turn is the assistant's and says nothing), ``empty_turn`` and
    ``role_order``.
    """
    turns = []
    for given, content in messages:
        role = next((known for known in ROLES if known == given), None)
        if role is None:
            return "unknown_role"
        turns.append(Message(role, clean_text(content)))
    if turns and turns[-1].role == "assistant" and not turns[-1].content:
        return "empty_answer"
    return faults_of_turns(turns) or tuple(turns)
