"""Clean records: questions to an outdoor shop and a software desk, with their answers, no two of them alike."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from . import chinese, english, german

LANGUAGES = {"en": english, "zh": chinese, "de": german}
SHAPES = ("tickets", "faq", "export", "kundschaft", "chats", "agents", "forum")
"""The files that records stand in; ``shapes`` says how. ``kundschaft`` is Chinese alone."""
WITH_ROLES = ("tickets", "chats", "agents")
"""Shapes whose turns say who speaks."""
MANY_TURNS = (*WITH_ROLES, "faq")
"""Shapes that hold more than one exchange."""
_MOST_SHARED = 1
_SLOT = re.compile(r"\{(\w+)\}")
_NUMBERS = {"few": (2, 9), "teens": (11, 29), "hundreds": (120, 990)}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. ``calls`` are a tool's name and its arguments; ``answers`` says which call a tool's turn belongs to."""

    role: str
    content: str
    reasoning: str | None = None
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    answers: str | None = None
    train: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """A conversation under the key that tells it from all others wherever it turns up."""

    key: str
    language: str
    shape: str
    turns: tuple[Turn, ...]
    has_tools: bool = False
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def asked(self) -> str:
        """The user's turns, one a line."""
        return "\n".join(turn.content for turn in self.turns if turn.role == "user")


class Composer:
    """Puts records together by chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._keys: set[str] = set()
        self._alike: dict[tuple[str, ...], list[Mapping[str, str]]] = {}

    def records(self, count: int) -> list[Record]:
        """``count`` records, no two of whose questions come near being duplicates."""
        made: list[Record] = []
        while len(made) < count:
            record, sentences = self._record()
            if self._is_new(record, sentences):
                made.append(record)
        return made

    def key(self) -> str:
        """A new key: letters alone, so that nothing takes it for a number."""
        while (key := "ref" + "".join(self._chance.choices("bcdfghjkmnpqrstvwxyz", k=9))) in self._keys:
            pass
        self._keys.add(key)
        return key

    def _is_new(self, record: Record, sentences: Sequence[str]) -> bool:
        """Texts that share two of their four sentences at most are far apart; the others must fill them differently."""
        buckets = [self._alike.setdefault(three, []) for three in combinations(sentences, 3)]
        if any(len(record.words.items() & other.items()) > _MOST_SHARED for bucket in buckets for other in bucket):
            return False
        for bucket in buckets:
            bucket.append(record.words)
        return True

    def _record(self) -> tuple[Record, Sequence[str]]:
        shape = self._chance.choice(SHAPES)
        language = "zh" if shape == "kundschaft" else self._chance.choice(tuple(LANGUAGES))
        return self._composed(self.key(), language, shape)

    def _composed(self, key: str, language: str, shape: str) -> tuple[Record, Sequence[str]]:
        text, topic = LANGUAGES[language], self._chance.choice(("shop", "desk"))
        words: dict[str, str] = {}
        gap = "" if language == "zh" else " "
        parts = [text.OPENINGS[topic], text.PROBLEMS[topic], text.DETAILS[topic], text.ASKS[topic]]
        sentences = [self._chance.choice(part.splitlines()) for part in parts]
        filled = [self.filled(sentence, language, words) for sentence in sentences]
        asked = gap.join(filled)
        if shape == "faq" and self._chance.random() < 0.4:
            asked = f"{gap.join(filled[:3])}\n{filled[3]}"
        answers = self._chance.sample(text.ANSWERS[topic].splitlines(), self._chance.choice((1, 2, 2, 3)))
        answered = gap.join(self.filled(answer, language, words) for answer in answers)
        turns = [Turn("user", asked)]
        has_tools = shape == "agents" and self._chance.random() < 0.5
        if has_tools:
            turns += self._tool_turns(language, words)
        turns.append(Turn("assistant", answered, self._thought(shape, language, words)))
        for _ in range(self._chance.choice((0, 0, 1, 2)) if shape in MANY_TURNS else 0):
            turns += [
                Turn("user", self.filled(text.FOLLOW_UPS, language, words)),
                Turn("assistant", self.filled(text.FOLLOW_ANSWERS, language, words)),
            ]
        if shape == "agents" and len(turns) > 3 and not has_tools and self._chance.random() < 0.3:
            turns[1] = Turn(turns[1].role, turns[1].content, turns[1].reasoning, train=False)
        if shape != "export" and shape != "kundschaft" and self._chance.random() < 0.3:
            turns.insert(0, Turn("system", self._chance.choice(text.SYSTEMS.splitlines())))
        return Record(key, language, shape, tuple(turns), has_tools, words), sentences

    def _tool_turns(self, language: str, words: dict[str, str]) -> list[Turn]:
        item = words.get("item") or words.get("app") or "unknown"
        number = str(self._chance.randint(1000, 9999))
        name = self._chance.choice(("look_up_stock", "find_case"))
        call = (name, {"item": item, "branch": words.get("place", "any"), "limit": self._chance.randint(1, 9)})
        said = self._chance.choice(("", self.filled(LANGUAGES[language].THOUGHTS, language, words)))
        found = f'{{"item": "{item}", "found": {number}}}'
        return [Turn("assistant", said, calls=(call,)), Turn("tool", found, answers="call-1")]

    def _thought(self, shape: str, language: str, words: dict[str, str]) -> str | None:
        if shape != "agents" or self._chance.random() < 0.6:
            return None
        return self.filled(LANGUAGES[language].THOUGHTS, language, words)

    def filled(self, lines: str, language: str, words: dict[str, str]) -> str:
        """One of the lines with every slot filled; ``words`` remembers what is in which slot."""
        line = self._chance.choice(lines.splitlines())
        text = _SLOT.sub(lambda slot: self._word(slot.group(1), language, words), line)
        return text[0].upper() + text[1:]

    def _word(self, slot: str, language: str, words: dict[str, str]) -> str:
        if slot in _NUMBERS:  # each place of a number gets one of its own
            return str(self._chance.randint(*_NUMBERS[slot]))
        if slot not in words:
            words[slot] = self._chance.choice(_WORDS[language][slot])
        return words[slot]


_WORDS: Mapping[str, Mapping[str, Sequence[str]]] = {
    language: {slot: words.replace("\n", "").split("|") for slot, words in text.WORDS.items()}
    for language, text in LANGUAGES.items()
}
