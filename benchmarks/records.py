"""Question-answer records as a business has them, in five languages, with the faults of real data in a known share.

Sentences are put together from ``sentences.toml`` by grammar, so that language detection, tokenizers and shingles see what
they would see in writing: function words, inflection, names, numbers, and phrases that many records share.
"""

import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import orjson

SHARES: Mapping[str, float] = {"en": 0.75, "zh": 0.18, "de": 0.03, "fr": 0.02, "es": 0.02}
EXACT, NEAR, EACH_FAULT = 0.01, 0.02, 0.003
FAULTS = ("mojibake", "invisible", "markup", "email", "phone", "resident_id")
_TWO_EXCHANGES, _SYSTEM_PROMPT, _TYPOGRAPHIC, _EACH_MORE = 0.06, 0.1, 0.25, 0.25
_REMEMBERED = 20_000
_NAMES = 6_000
_NUMERALS = "〇零一二两三四五六七八九十百千万"
_TYPOGRAPHY = str.maketrans({"'": "’", "-": "–"})
_RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_PLACE = re.compile(r"\{(\w+)\}")

Words = Sequence[str]
Pattern = Sequence[tuple[Words, int]]
"""One sentence: a choice from each list of words (with its length), one after another."""
Turns = list[dict[str, str]]


def _names(draw: random.Random, starts: str, middles: str, ends: str) -> Words:
    parts = [starts.split(), ["", *middles.split()], ends.split()]
    return sorted({"".join(map(draw.choice, parts)) for _ in range(_NAMES)})


def _common_words(first_names: Words) -> Mapping[str, Words]:
    draw = random.Random(0)
    return {
        "first_name": first_names,
        "surname": _names(
            draw,
            "Ash Black Brad Carl Dal Ed El Fair Gran Hal Hart Hol King Lang Mar Mel Nor Os Pen Pres Rad Ro Stan Thorn Wal Whit",
            "ber der el en ing ling man mer ner ring sel ter ton",
            "bridge brook burn by den field ford gate ham hurst land ley man mond more ridge shaw son stead well wick worth",
        ),
        "town": _names(
            draw,
            "Al Bar Bel Cal Cor Dun East Fen Glen Har Kel Lin Mont New North Old Port Ros San South Stone Wes Wood",
            "al ber cas ed el en ing mor ner or ter val",
            "borough burg bury chester dale don fields ford gate ham haven mouth pool port shire side ton vale ville wick",
        ),
        "number": [str(number) for number in range(2, 400)],
        "order": [f"{kind}-{number}" for kind in ("AB", "KX", "QT", "ZR") for number in range(20_011, 99_999, 37)],
    }


@dataclass(frozen=True, slots=True)
class _Grammar:
    """Patterns of one language: of the question, of the answer, of what an answer may have beside, and of system prompts."""

    question: Sequence[Pattern]
    answer: Sequence[Pattern]
    more: Sequence[Pattern]
    system: Words
    between: str


def _read_sentences() -> tuple[Mapping[str, _Grammar], Mapping[str, Words]]:
    """The grammar of each language, and the words that all of them use."""
    read = tomllib.loads((Path(__file__).parent / "sentences.toml").read_text(encoding="utf-8"))
    common = _common_words(read.pop("first_names"))

    def pattern(text: str, words: Mapping[str, Words]) -> Pattern:
        chosen = []
        for i, part in enumerate(_PLACE.split(text)):
            if i % 2 == 0:
                chosen.append([part])
            elif part in words:
                chosen.append(list(words[part]))
            else:
                chosen.append([word[0].upper() + word[1:] for word in words[part.lower()]])
        return [(choices, len(choices)) for choices in chosen if choices != [""]]

    grammars = {}
    for language, given in read.items():
        words = {**common, **given["words"]}
        question, answer, more = (
            [pattern(text, words) for text in given[kind]] for kind in ("question", "answer", "more")
        )
        grammars[language] = _Grammar(question, answer, more, given["system"], given["between"])
    return grammars, common


class Writer:
    """Writes questions, answers and records, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._random = self._draw.random
        self._grammars, common = _read_sentences()
        self._bounds = list(zip(SHARES, accumulate(SHARES.values()), strict=True))
        self._common = {name: (words, len(words)) for name, words in common.items()}

    def language(self) -> str:
        """A language, by its share."""
        place = self._random() * self._bounds[-1][1]
        return next(code for code, bound in self._bounds if place < bound)

    def question(self, language: str) -> str:
        """What a customer asks: two sentences, some 100 to 250 characters (Chinese: 45)."""
        grammar = self._grammars[language]
        return grammar.between.join([self._sentence(pattern) for pattern in grammar.question])

    def answer(self, language: str) -> str:
        """What is answered: three to six sentences."""
        grammar, draw = self._grammars[language], self._random
        patterns = [*grammar.answer, *[pattern for pattern in grammar.more if draw() < _EACH_MORE]]
        return grammar.between.join([self._sentence(pattern) for pattern in patterns])

    def _sentence(self, pattern: Pattern) -> str:
        draw = self._random
        return "".join([words[int(draw() * count)] for words, count in pattern])

    def misspelt(self, text: str) -> str:
        """A text with one letter replaced by another of its script: never a digit, nor a Chinese numeral."""
        while True:
            at = int(self._random() * len(text))
            new = ("a" if text[at] == "e" else "e") if text[at].isascii() else "的"
            if text[at].isalpha() and text[at] not in _NUMERALS and text[at] != new:
                return text[:at] + new + text[at + 1 :]

    def reworded(self, text: str) -> str:
        """A text with one more word in it; where words have no spaces, with one character replaced."""
        words = text.split(" ")
        if len(words) < 4:
            return self.misspelt(text)
        at = int(self._random() * len(words))
        return " ".join([*words[:at], "really", *words[at:]])

    def records(self, count: int) -> Iterator[tuple[str, Turns]]:
        """``count`` languages and conversations, with duplicates and faults by their shares."""
        draw = self._random
        earlier: list[tuple[str, Turns]] = []
        for number in range(count):
            kind = draw()
            if kind < EXACT + NEAR and earlier:
                language, turns = earlier[int(draw() * len(earlier))]
                if kind >= EXACT:
                    change = self.misspelt if draw() < 0.5 else self.reworded
                    turns = _with_last_question(turns, change(turns[-2]["content"]))
            else:
                language = self.language()
                turns = self._turns(language)
                fault = int(draw() / EACH_FAULT)
                if fault < len(FAULTS):
                    turns = _with_last_question(turns, self._faulty(turns[-2]["content"], FAULTS[fault]))
                elif len(earlier) < _REMEMBERED:
                    earlier.append((language, turns))
                elif number % 16 == 0:
                    earlier[int(draw() * _REMEMBERED)] = (language, turns)
            yield language, turns

    def _turns(self, language: str) -> Turns:
        draw = self._random
        question, answer = self.question(language), self.answer(language)
        if language == "en" and draw() < _TYPOGRAPHIC:
            question, answer = (f"“{text}”".translate(_TYPOGRAPHY) for text in (question, answer))
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        kind = draw()
        if kind < _SYSTEM_PROMPT:
            turns.insert(0, {"role": "system", "content": self._draw.choice(self._grammars[language].system)})
        elif kind < _SYSTEM_PROMPT + _TWO_EXCHANGES:
            grammar = self._grammars[language]
            turns += [
                {"role": "user", "content": self._sentence(grammar.question[-1])},
                {"role": "assistant", "content": self._sentence(grammar.answer[0])},
            ]
        return turns

    def _faulty(self, text: str, fault: str) -> str:
        middle = len(text) // 2
        match fault:
            case "mojibake":
                return f"{text} Déjà vu, naïve café, straße.".encode().decode("latin-1")
            case "invisible":
                return f"{text[:middle]}\u200b{text[middle:]}\ufeff"
            case "markup":
                return f"<p>{text[:middle]}<br/>{text[middle:]}&nbsp;</p>"
            case "email":
                name = self._sentence([self._common["first_name"], (["."], 1), self._common["surname"]])
                return f"{text} Please write to {name.lower()}@{self._sentence([self._common['town']]).lower()}.com."
            case "phone":
                mobile, line = f"1{self._draw.choice('3578')}{self._digits(9)}", f"{self._digits(4)} {self._digits(4)}"
                return f"{text} 我的电话是{mobile}。" if self._random() < 0.5 else f"{text} My number is +44 20 {line}."
            case _:
                return f"{text} 身份证号码是 {self._resident_id()}。"

    def _digits(self, count: int) -> str:
        return str(self._draw.randrange(10 ** (count - 1), 10**count))

    def _resident_id(self) -> str:
        draw = self._draw.randrange
        number = f"11010{draw(1, 9)}{draw(1950, 2005)}{draw(1, 13):02}{draw(1, 29):02}{self._digits(3)}"
        weighed = sum(int(digit) * weight for digit, weight in zip(number, _RESIDENT_WEIGHTS, strict=True))
        return number + "10X98765432"[weighed % 11]


def _with_last_question(turns: Turns, question: str) -> Turns:
    return [*turns[:-2], {"role": "user", "content": question}, turns[-1]]


def write_records(path: Path, count: int, seed: int, names_language: bool = False) -> None:
    """Stream ``count`` records of ``{"messages": […]}`` to a JSONL file, each with its ``language`` if asked for."""
    with path.open("wb") as file:
        for language, turns in Writer(seed).records(count):
            record = {"messages": turns, "language": language} if names_language else {"messages": turns}
            file.write(orjson.dumps(record) + b"\n")
