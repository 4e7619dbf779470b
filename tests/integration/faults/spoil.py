"""One fault, put into one clean record."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from . import alter, private
from .decoys import CARRIERS, DECOYS
from .foreign import foreign
from .planted import IN_THE_FILE, LONGEST_TOKENS, Planted
from .records import LANGUAGES, MANY_TURNS, SHAPES, Composer, Record, Turn

_PRIVATE_BESIDE = 0.3
_SAYS_SOMETHING = 12
_BLANKS = ("", "   ", "\n", "\u200b", "\u00a0\t")
_SHARED_ANSWERS = {
    "en": "Please send us the whole thing; we will look at it and write to you.",
    "zh": "请把东西整个寄给我们，检查以后会写信告诉您。",
    "de": "Bitte schicken Sie uns alles ein; wir sehen es uns an und schreiben Ihnen.",
}
_STRANGERS = ("critic", "narrator", "moderator", "customer", "reviewer")


class Spoiler:
    """Plants faults by chance."""

    def __init__(self, chance: random.Random, composer: Composer) -> None:
        self._chance = chance
        self._composer = composer

    def rejected(self, name: str, record: Record) -> Planted:
        """A record that must go; some of them hold private values too, which must not be shown with it."""
        if name not in IN_THE_FILE:
            record = replace(record, turns=tuple(_CHANGES[name](self, record)))
        if self._chance.random() >= _PRIVATE_BESIDE:
            return Planted(record, record, name)
        type_, draw = private.PRIVATE[self._chance.choice(("email", "bank_card"))]
        value = draw(self._chance)
        place = next(i for i, turn in enumerate(record.turns) if len(turn.content) >= _SAYS_SOMETHING)
        record = _with_content(record, place, f"{record.turns[place].content} {value}")
        return Planted(record, record, name, type=type_, values=(value,))

    def mended(self, name: str, record: Record) -> Planted:
        """A record whose text was damaged, beside the text before that."""
        place = self._chance.choice(
            [i for i, turn in enumerate(record.turns) if turn.role in ("user", "assistant") and turn.content]
        )
        content = record.turns[place].content
        if name == "mojibake":
            clean = _with_content(record, place, alter.in_print(content, record.language, self._chance))
            if all(turn.content.isascii() for turn in clean.turns):
                clean = _with_content(clean, place, f"{clean.turns[place].content} – René")
            return Planted(self._decoded_wrongly(clean), clean, name)
        if name == "decomposed":
            turns = tuple(replace(turn, content=alter.decomposed(turn.content)) for turn in record.turns)
            return Planted(replace(record, turns=turns), record, name)
        if name == "hidden":
            return Planted(_with_content(record, place, alter.hidden(content, self._chance)), record, name)
        place = _first(record)
        parts = alter.sentences(record.turns[place].content)
        if name == "marked_up":
            spoilt, mended = alter.marked_up(parts, self._chance), "\n".join(parts)
        else:
            spoilt, mended = alter.stretched(parts, record.language, self._chance)
        return Planted(_with_content(record, place, spoilt), _with_content(record, place, mended), name)

    def _decoded_wrongly(self, record: Record) -> Record:
        as_latin_1 = self._chance.random() < 0.3
        turns = (
            replace(
                turn,
                content=alter.mojibake(turn.content, as_latin_1),
                reasoning=turn.reasoning and alter.mojibake(turn.reasoning, as_latin_1),
            )
            for turn in record.turns
        )
        return replace(record, turns=tuple(turns))

    def redacted(self, name: str, record: Record) -> Planted:
        """A record with a private value in one of its turns, or in what it hands to a tool."""
        type_, draw = private.PRIVATE[name]
        value, mark = draw(self._chance), f"[{type_}]"
        if record.has_tools and self._chance.random() < 0.3 and name != "password":
            written, clean = (_with_argument(record, "customer", text) for text in (value, mark))
        else:
            carrier = self._chance.choice(private.CARRIERS[name][record.language])
            written, clean = self._with_sentence(record, carrier, value, mark)
        return Planted(written, clean, name, type=type_, values=(value,))

    def decoy(self, name: str, record: Record) -> list[Planted]:
        """A record that only looks as if something were wrong with it; with it come those that make it look so."""
        if name == "other_number":
            place = _first(record)
            other = alter.other_number(record.turns[place].content, self._chance)
            twin = replace(_with_content(record, place, other), key=self._composer.key())
            return [Planted(record, record, name), Planted(twin, twin, name)]
        if name == "shared_answer":
            record = _with_content(record, _last(record), _SHARED_ANSWERS[record.language])
            return [Planted(record, record, name)]
        value = DECOYS[name](self._chance)
        record, _ = self._with_sentence(record, self._chance.choice(CARRIERS[record.language]), value, value)
        return [Planted(record, record, name)]

    def copy(self, name: str, record: Record) -> Planted:
        """The same question under another key, in any shape that can hold it, sometimes with another answer."""
        asked = [turn for turn in record.turns if turn.role == "user"]
        answered = [turn for turn in record.turns if turn.role == "assistant" and not turn.calls]
        if name == "exact_copy":
            asked = [replace(t, content=alter.exact_copy(t.content, record.language, self._chance)) for t in asked]
        else:
            asked[0] = replace(asked[0], content=alter.near_copy(asked[0].content, record.language, self._chance))
        if self._chance.random() < 0.3:
            answered[-1] = Turn("assistant", _SHARED_ANSWERS[record.language])
        shapes = [
            s for s in SHAPES if (s != "kundschaft" or record.language == "zh") and (len(asked) == 1 or s in MANY_TURNS)
        ]
        turns = [turn for pair in zip(asked, answered, strict=True) for turn in pair]
        copied = Record(
            self._composer.key(),
            record.language,
            self._chance.choice(shapes),
            tuple(replace(t, reasoning=None, train=True) for t in turns),
        )
        return Planted(copied, copied, name, like=record.key)

    def _with_sentence(self, record: Record, carrier: str, value: str, mark: str) -> tuple[Record, Record]:
        """The record with one sentence more before or after a turn's text: with the value in it, and with its mark."""
        place = self._chance.choice((_first(record), _last(record)))
        content, gap = record.turns[place].content, "" if record.language == "zh" else " "
        leads = self._chance.random() < 0.3 and carrier[-1] in ".。"
        said = [carrier.replace("{}", text) for text in (value, mark)]
        texts = [(f"{one}{gap}{content}" if leads else f"{content}{gap}{one}").strip() for one in said]
        return _with_content(record, place, texts[0]), _with_content(record, place, texts[1])

    def _strange_role(self, record: Record) -> Sequence[Turn]:
        place = self._chance.randrange(len(record.turns))
        return _with(record.turns, place, replace(record.turns[place], role=self._chance.choice(_STRANGERS)))

    def _wrong_order(self, record: Record) -> Sequence[Turn]:
        turns, first, last = list(record.turns), _first(record), _last(record)
        return self._chance.choice(
            (
                turns[:first] + turns[first + 1 :],
                turns[:-1] if turns[-2].role == "user" else turns[: first + 1],
                [*turns[:last], Turn("user", turns[first].content[::-1]), turns[last]]
                if turns[last - 1].role == "user"
                else turns[: first + 1],
                [*turns, Turn("system", LANGUAGES[record.language].SYSTEMS.splitlines()[0]), turns[first], turns[last]],
                [*turns, Turn("assistant", turns[last].content)],
            )
        )

    def _no_answer(self, record: Record) -> Sequence[Turn]:
        return _with(record.turns, _last(record), Turn("assistant", self._chance.choice(_BLANKS)))

    def _no_question(self, record: Record) -> Sequence[Turn]:
        places = [i for i, turn in enumerate(record.turns) if turn.role == "user"]
        return _with(record.turns, self._chance.choice(places), Turn("user", self._chance.choice(_BLANKS)))

    def _nothing_learnt(self, record: Record) -> Sequence[Turn]:
        return [replace(turn, train=turn.role != "assistant") for turn in record.turns]

    def _long(self, record: Record) -> Sequence[Turn]:
        least = LONGEST_TOKENS // 2 if record.language == "zh" else LONGEST_TOKENS * 9 // 4
        answer = ""
        while len(answer) < least:
            answer += self._composer.filled(LANGUAGES[record.language].ANSWERS["shop"], record.language, {}) + " "
        return _with(record.turns, _last(record), Turn("assistant", answer.strip()))

    def _foreign(self, _: Record) -> Sequence[Turn]:
        asked, answered = foreign(self._chance)
        return [Turn("user", asked), Turn("assistant", answered)]


_CHANGES: dict[str, Callable[[Spoiler, Record], Sequence[Turn]]] = {
    "strange_role": Spoiler._strange_role,
    "wrong_order": Spoiler._wrong_order,
    "no_answer": Spoiler._no_answer,
    "no_question": Spoiler._no_question,
    "nothing_learnt": Spoiler._nothing_learnt,
    "long": Spoiler._long,
    "foreign": Spoiler._foreign,
}


def _first(record: Record) -> int:
    return next(i for i, turn in enumerate(record.turns) if turn.role == "user")


def _last(record: Record) -> int:
    return len(record.turns) - 1


def _with(turns: Sequence[Turn], place: int, turn: Turn) -> tuple[Turn, ...]:
    return (*turns[:place], turn, *turns[place + 1 :])


def _with_content(record: Record, place: int, content: str) -> Record:
    return replace(record, turns=_with(record.turns, place, replace(record.turns[place], content=content)))


def _with_argument(record: Record, name: str, value: str) -> Record:
    turns = [
        replace(turn, calls=tuple((tool, {**given, name: value}) for tool, given in turn.calls))
        for turn in record.turns
    ]
    return replace(record, turns=tuple(turns))
