"""Questions and answers as a page may show them: cut short, escaped, hidden characters written out, differences marked.

An answer is hostile input: it may hold markup, characters that turn the page's text around, or a hundred thousand characters.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable

from markupsafe import Markup, escape

LONGEST_CHARS = 600
"""Of a text on the page; what is beyond is cut, and the whole length is said."""

# A word of a script with spaces is one part; each character of any other script is one. The rest stands between parts.
_WORD = re.compile(r"[^\W\u0e00-\u0e7f\u2e80-\uff0f\uff66-\uffef\U00020000-\U0003ffff]+|\w")
# Joiners that shape a word, and the variation selectors of emoji: they stay as they are.
_SHAPING = frozenset("\u200c\u200d\ufe0e\ufe0f")
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def excerpt(text: str, longest_chars: int = LONGEST_CHARS) -> Markup:
    """At most so many characters of a text; controls, and what turns the direction of writing, stand as ``U+202E``."""
    return visible(text[:longest_chars]) + _length(text, longest_chars)


def compared(answer: str, reference: str) -> Markup:
    """An excerpt of an answer, in which runs of words that the reference does not have there are marked ``extra``."""
    return _marked(answer, reference, "extra") + _length(answer, LONGEST_CHARS)


def missed(reference: str, answer: str) -> Markup:
    """An excerpt of the reference, in which runs of words that the answer does not have there are marked ``missed``."""
    return _marked(reference, answer, "missed") + _length(reference, LONGEST_CHARS)


def visible(text: str) -> Markup:
    """The text escaped; characters that a reader would not see, or that no page may hold, are written as their codes."""
    return escape(text) if text.isprintable() else Markup().join(_character(c) for c in text)


def with_codes(text: str) -> str:
    """The text, not escaped, with hidden characters written as their codes."""
    if text.isprintable():
        return text
    return "".join(f"U+{ord(c):04X}" if _is_hidden(c) else c for c in text)


def _is_hidden(character: str) -> bool:
    return character not in "\n\t" and character not in _SHAPING and unicodedata.category(character) in _HIDDEN


def _character(character: str) -> Markup:
    return (
        Markup('<span class="code">U+{:04X}</span>').format(ord(character))
        if _is_hidden(character)
        else escape(character)
    )


def _marked(text: str, other: str, style: str) -> Markup:
    shown, against = text[:LONGEST_CHARS], other[:LONGEST_CHARS]
    found = list(_WORD.finditer(shown))
    words, others = [_key(match.group()) for match in found], [_key(word) for word in _WORD.findall(against)]
    pieces: list[Markup] = []
    end = 0
    for kind, start, stop, _, _ in difflib.SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        if kind in ("equal", "insert"):
            continue
        first, last = found[start].start(), found[stop - 1].end()
        mark = Markup('<mark class="{}">{}</mark>').format(style, visible(shown[first:last]))
        pieces += [visible(shown[end:first]), mark]
        end = last
    return Markup().join([*pieces, visible(shown[end:])])


def _key(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()


def _length(text: str, longest_chars: int) -> Markup:
    if len(text) <= longest_chars:
        return Markup()
    return Markup('… <span class="length">{:,} characters</span>').format(len(text))


FILTERS: dict[str, Callable[..., Markup]] = {"excerpt": excerpt, "compared": compared, "missed": missed}
"""For the templates."""
