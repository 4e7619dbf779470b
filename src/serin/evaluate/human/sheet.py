"""What a rater is given: questions with two answers each, in an order and on sides that a secret decides."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from serin.core.digest import digest_of
from serin.core.grading import is_same_answer

Side = Literal[1, 2]

_DIGITS = 16
# What spreadsheets and pages drop or replace: control characters but tab and line end, and halves of surrogate pairs.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with both models' answers, as ``answers.jsonl`` has it."""

    id: str
    group: str
    """Questions that stand or fall together."""
    slices: dict[str, str]
    text: str
    reference: str
    candidate: str
    other: str

    @property
    def is_same(self) -> bool:
        """Whether both answers are one: a tie that nobody needs to look at."""
        return is_same_answer(self.candidate, self.other)


@dataclass(frozen=True, slots=True)
class Item:
    """One comparison as a rater sees it; its number in the sheet is all that names it."""

    question: str
    reference: str
    answer_1: str
    answer_2: str
    language: str
    """ISO 639-1 code, or ``und``: how the texts are to be set."""

    @property
    def digest(self) -> str:
        """Of the texts: tells whether somebody changed them."""
        return digest_of([self.question, self.reference, self.answer_1, self.answer_2])


@dataclass(frozen=True, slots=True)
class Sheet:
    """One rater's comparisons, and what stays secret of them: which question each is, and where the candidate's answer stands."""

    id: str
    """A digest of what the rater sees, so it tells nothing more."""
    rater: int
    items: tuple[Item, ...]
    ids: tuple[str, ...]
    sides: tuple[Side, ...]


def make_sheet(questions: Sequence[Question], rater: int, secret: bytes) -> Sheet:
    """The sheet of rater number ``rater``: in an order of its own, the candidate first in half of the items.

    Both follow from HMAC-SHA256 under ``secret``, which has to be long and random and is kept nowhere: a seed could be guessed
    from the order.
    """

    def drawn(purpose: str) -> list[Question]:
        keyed = {q.id: hmac.digest(secret, f"{rater}\n{purpose}\n{q.id}".encode(), "sha256") for q in questions}
        return sorted(questions, key=lambda q: keyed[q.id])

    first = {question.id for question in drawn("side")[: (len(questions) + rater % 2) // 2]}
    ordered = drawn("order")
    sides: list[Side] = [1 if question.id in first else 2 for question in ordered]
    items = [_item(question, side) for question, side in zip(ordered, sides, strict=True)]
    id = digest_of([rater, *(item.digest for item in items)])[:_DIGITS]
    return Sheet(id, rater, tuple(items), tuple(question.id for question in ordered), tuple(sides))


def shown(text: str) -> str:
    """A text as it stands in sheets: without what spreadsheets drop, each line end a newline."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _item(question: Question, side: Side) -> Item:
    candidate, other = shown(question.candidate), shown(question.other)
    return Item(
        question=shown(question.text),
        reference=shown(question.reference),
        answer_1=candidate if side == 1 else other,
        answer_2=other if side == 1 else candidate,
        language=question.slices.get("language", "und"),
    )
