"""The set ``general``: everyday questions with answers, which a model could answer before it was tuned.

The questions that come with Serin were written for it: 104 of arithmetic, common knowledge, language, short instructions,
small talk and everyday life, half of them English and half Chinese, with short answers.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from importlib.resources import files as resources

from serin.core.conversation import Conversation
from serin.evaluate.question_files import load_questions

_WORD = re.compile(r"\w+")


def load_general(files: Sequence[str]) -> list[Conversation]:
    """The questions of all files; ``serin`` names those that come with Serin. See ``load_questions`` for what is raised."""
    shipped = resources("serin.evaluate.forgetting") / "general.jsonl"
    return load_questions(files, shipped, "evaluate.forgetting.general", _without_answer)


def without_trained(
    questions: Sequence[Conversation], train: Iterable[Conversation]
) -> tuple[list[Conversation], list[str]]:
    """The questions that the train split does not ask, and the ids of those that it does.

    What was trained on says nothing about forgetting. Questions are the same where their words are: case, width, spaces and
    punctuation do not count; a paraphrase is another question. ``train`` is read once and not kept.
    """
    asked = {_words(question.user_text) for question in questions}
    trained = asked.intersection(_words(record.user_text) for record in train)
    kept = [question for question in questions if _words(question.user_text) not in trained]
    return kept, [question.id for question in questions if _words(question.user_text) in trained]


def _words(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).lower()))


def _without_answer(question: Conversation) -> str | None:
    return None if question.reference.strip() else "has no answer: expected a last turn of the assistant"
