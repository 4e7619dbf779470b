"""What happens to texts on their way: each function damages a text, or says the same in nearly the same words."""

import random
import re
import unicodedata
from collections.abc import Sequence

from .alike import shingles, similarity
from .records import LANGUAGES

_LEAST_ALIKE = 0.85
_HIDDEN = (
    "\u200b\ufeff\u200e\u200f\u2060\u00ad\u200c\u200d\u202a\u2066" + "\x00\x01\x02\x07\x08\x0b\x0c\x0e\x1a\x1b\x1f\x7f"
)
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_SENTENCE_END = re.compile(r"(?<=[^\d][.?!])\s+|(?<=[。？！])(?=.)|\n")
_WIDE_PART = re.compile(r"[0-9(),.?!]|\b[A-Z]\w+\b")
_NUMERALS = "〇零一二两三四五六七八九十百千万"
_PARTICLES = "的了就都也还在才把"


def mojibake(text: str, as_latin_1: bool) -> str:
    """UTF-8 read as Latin-1, or as windows-1252 as the WHATWG has it (undefined bytes are controls)."""
    if as_latin_1:
        return text.encode().decode("latin-1")
    return "".join(_windows_1252(byte) for byte in text.encode())


def _windows_1252(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


def in_print(text: str, language: str, chance: random.Random) -> str:
    """The text as a careful writer sets it: curly quotes around some words, a dash for a comma, typographic apostrophes."""
    if language == "zh":
        return text
    text = text.replace("'", "’")
    words = list(re.finditer(r"\b[A-Za-z]{4,}\b", text))
    if words and language == "en":
        word = chance.choice(words)
        text = f"{text[: word.start()]}“{word.group()}”{text[word.end() :]}"
    return text.replace(", ", " – ", 1) if chance.random() < 0.5 else text


def hidden(text: str, chance: random.Random) -> str:
    """One to four zero-width or control characters between two letters."""
    for _ in range(chance.randint(1, 4)):
        places = [i for i in range(1, len(text)) if text[i - 1].isalpha() and text[i].isalpha()]
        place = chance.choice(places)
        text = text[:place] + chance.choice(_HIDDEN) + text[place:]
    return chance.choice(("", "", "", "\ufeff", "\u200b")) + text


def decomposed(text: str) -> str:
    """Letters apart from their accents, as some file systems and keyboards give them."""
    return unicodedata.normalize("NFD", text)


def sentences(text: str) -> list[str]:
    """The sentences of a text, one after another."""
    return _SENTENCE_END.split(text)


def marked_up(parts: Sequence[str], chance: random.Random) -> str:
    """Sentences as a web page holds them; without its tags each is a line of its own."""
    layout = chance.choice(("p", "br", "div", "li", "mixed"))
    if layout == "p":
        text = chance.choice(("", "\n")).join(f"<p>{part}</p>" for part in parts)
    elif layout == "br":
        text = chance.choice(("<br>", "<br/>", "<br />\n")).join(parts)
    elif layout == "div":
        text = '<div class="msg body">' + "</div><div>".join(parts) + "</div>"
    elif layout == "li":
        text = "<ul>" + "".join(f"<li>{part}</li>" for part in parts) + "</ul>"
    else:
        text = f"<div style='margin:0'><p>{parts[0]}</p>" + "<br>".join(parts[1:]) + "</div>"
    for _ in range(chance.randint(0, 2)):
        text = _inline(text, chance)
    return text


def _inline(text: str, chance: random.Random) -> str:
    words = list(re.finditer(r"(?<![<&\w/='\"])\b\w{4,}\b(?![^<]*>)(?!;)", text))
    blanks = list(re.finditer(r"(?<=\w) (?=\w)(?![^<]*>)", text))
    if blanks and chance.random() < 0.5:
        blank = chance.choice(blanks)
        return f"{text[: blank.start()]}&nbsp;{text[blank.end() :]}"
    if not words:
        return text
    word = chance.choice(words)
    opening, closing = chance.choice(
        (
            ("<b>", "</b>"),
            ("<strong>", "</strong>"),
            ('<span style="color: #333">', "</span>"),
            ("<em>", "</em>"),
            ("<font size=2>", "</font>"),
        )
    )
    return f"{text[: word.start()]}{opening}{word.group()}{closing}{text[word.end() :]}"


def stretched(parts: Sequence[str], language: str, chance: random.Random) -> tuple[str, str]:
    """Sentences with blanks too many, and the same as they should stand."""
    if language == "zh" or chance.random() < 0.3:
        between = chance.choice(("\n\n\n\n", "\n\n\n", "\n \n\n\t\n", "\r\n\r\n"))
        before, after = chance.choice((("", "  \n"), ("\u3000\u3000", ""), ("\n\n", "\t")))
        return before + between.join(parts) + after, "\n\n".join(parts)
    text = plain = " ".join(parts)
    for _ in range(chance.randint(1, 3)):
        blank = chance.choice([i for i, c in enumerate(text) if c == " "])
        text = text[:blank] + chance.choice(("  ", "   ", "\t", "\u00a0", " \u00a0")) + text[blank + 1 :]
    return text, plain


def exact_copy(text: str, language: str, chance: random.Random) -> str:
    """The same words in another case, width, spacing or punctuation."""
    how = chance.choice(("case", "width", "blanks", "points", "none"))
    if how == "case":
        return chance.choice((text.upper, text.lower, text.swapcase))() if "ß" not in text else text.lower()
    if how == "width":
        return _WIDE_PART.sub(lambda part: part.group().translate(_WIDE), text)
    if how == "blanks":
        return f" {text}\n" if language == "zh" else text.replace(" ", "  ").replace("\n", "\n\n")
    if how == "points":
        return (
            text.replace("？", "?!").replace("。", "!")
            if language == "zh"
            else text.replace("?", " ?!").replace(", ", " ")
        )
    return text


def near_copy(text: str, language: str, chance: random.Random) -> str:
    """The same question with a slip of the pen, a word dropped or a polite word more: similarity 0.85 or above."""
    original = shingles(text)
    while True:
        copy = text
        for _ in range(chance.randint(1, 3)):
            copy = chance.choice((_with_typo, _without_a_word, _politely))(copy, language, chance)
        if copy != text and similarity(shingles(copy), original) >= _LEAST_ALIKE and shingles(copy) != original:
            return copy


def _with_typo(text: str, language: str, chance: random.Random) -> str:
    places = [
        i
        for i in range(1, len(text) - 1)
        if text[i].isalpha() and text[i - 1].isalpha() and text[i] not in _NUMERALS and text[i - 1] not in _NUMERALS
    ]
    i = chance.choice(places)
    if language == "zh":
        return text[:i] + chance.choice(("", text[i] * 2, "地", "得")) + text[i + 1 :]
    return chance.choice(
        (text[: i - 1] + text[i] + text[i - 1] + text[i + 1 :], text[:i] + text[i + 1 :], text[:i] + text[i] + text[i:])
    )


def _without_a_word(text: str, language: str, chance: random.Random) -> str:
    if language == "zh":
        places = [i for i, c in enumerate(text) if c in _PARTICLES]
        place = chance.choice(places) if places else 0
        return text[:place] + text[place + 1 :] if places else text
    words = list(re.finditer(r"(?<= )[^\W\d]{1,6} ", text))
    word = chance.choice(words)
    return text[: word.start()] + text[word.end() :]


def _politely(text: str, language: str, chance: random.Random) -> str:
    if chance.random() < 0.5:
        return f"{chance.choice(LANGUAGES[language].POLITE.split('|'))}{text}"
    return f"{text}{chance.choice(LANGUAGES[language].THANKS.split('|'))}"


def other_number(text: str, chance: random.Random) -> str:
    """The same question about another number: not the same question."""
    number = chance.choice(list(re.finditer(r"\d+", text)))
    other = chance.choice([n for n in range(2, 99) if str(n) != number.group()])
    return f"{text[: number.start()]}{other}{text[number.end() :]}"
