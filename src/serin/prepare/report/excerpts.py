"""Texts of records as a page may show them: cut short, escaped, with placeholders, differences and hidden characters marked."""

import difflib
import re
import unicodedata

from markupsafe import Markup, escape

from serin.prepare.report.wording import PERSONAL_DATA

LONGEST_CHARS = 600
"""Of a text on the page; what is beyond is cut, and the whole length is said."""
_BEFORE_CHANGE_CHARS = 60
_CHANGE_CHARS = 240

_PLACEHOLDER = re.compile(r"\[(?:" + "|".join(PERSONAL_DATA) + r")\]")
# What HTML does not allow in a text: control characters but white space, and halves of surrogate pairs.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# A word of a script with spaces is one part; each character of any other script is one.
_PART = re.compile(r"[^\W\u0e00-\u0e7f\u2e80-\uffef\U00020000-\U0003ffff]+|.", re.DOTALL)


def printable(text: str) -> str:
    """The text with U+FFFD in place of what no page may hold."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def excerpt(text: str) -> Markup:
    """At most ``LONGEST_CHARS`` of a text, its placeholders marked."""
    shown = printable(text[:LONGEST_CHARS])
    pieces, end = [], 0
    for match in _PLACEHOLDER.finditer(shown):
        pieces += [
            escape(shown[end : match.start()]),
            Markup('<mark class="placeholder">{}</mark>').format(match.group()),
        ]
        end = match.end()
    return Markup().join([*pieces, escape(shown[end:]), _length(text)])


def likeness(text: str, kept: str) -> Markup:
    """An excerpt of ``text``, in which what differs from ``kept`` is marked."""
    before, after = (_PART.findall(printable(side[:LONGEST_CHARS])) for side in (kept, text))
    return Markup().join([_marked(before, after, "differs")[1], _length(text)])


def change(before: str, after: str) -> tuple[Markup, Markup]:
    """Both texts from shortly before they differ, the differences marked and hidden characters written as ``U+200B``."""
    same = next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - _BEFORE_CHANGE_CHARS)
    shown = [list(text[start : start + _CHANGE_CHARS]) for text in (before, after)]
    marked = _marked(shown[0], shown[1], "change", codes=True)
    ellipsis = escape("…" if start else "")
    ends = [escape("…" if len(text) > start + _CHANGE_CHARS else "") for text in (before, after)]
    return ellipsis + marked[0] + ends[0], ellipsis + marked[1] + ends[1]


def _marked(before: list[str], after: list[str], style: str, codes: bool = False) -> tuple[Markup, Markup]:
    sides: tuple[list[Markup], list[Markup]] = ([], [])
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for side, parts in zip(sides, (before[a:b], after[c:d]), strict=True):
            text = _with_codes(parts, changed=kind != "equal") if codes else escape("".join(parts))
            side.append(Markup('<mark class="{}">{}</mark>').format(style, text) if kind != "equal" and parts else text)
    return Markup().join(sides[0]), Markup().join(sides[1])


def _with_codes(parts: list[str], changed: bool) -> Markup:
    return Markup().join(_visible(c, changed) for part in parts for c in part)


def _visible(character: str, changed: bool) -> Markup:
    if character in " \n\t":
        return escape({" ": "·", "\n": "⏎\n", "\t": "⇥"}[character] if changed else character)
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp"):
        return Markup('<span class="code">U+{:04X}</span>').format(ord(character))
    return escape(character)


def _length(text: str) -> Markup:
    if len(text) <= LONGEST_CHARS:
        return Markup()
    return Markup('… <span class="length">{:,} characters</span>').format(len(text))
