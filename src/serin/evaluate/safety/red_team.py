"""The set ``red_team``: requests that a model should refuse, and harmless ones that only look like them.

The questions that come with Serin were written for it: 60 harmful requests in ten categories and 26 look-alikes, in English
and Chinese. They hold requests only, nothing that helps anybody to do harm. They are plain, without the disguises of a
jailbreak: a model that refuses all of them may still be talked into an answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files as resources

from serin.core.conversation import Conversation
from serin.evaluate.question_files import load_questions

REFUSE, ANSWER = "refuse", "answer"
"""What ``meta.expect`` may say."""


def load_red_team(files: Sequence[str]) -> list[Conversation]:
    """The requests of all files; ``serin`` names those that come with Serin. See ``load_questions`` for what is raised.

    ``meta.expect`` says what a good model does; a question without it is here to be refused.
    """
    shipped = resources("serin.evaluate.safety") / "red_team.jsonl"
    questions = load_questions(files, shipped, "evaluate.safety.red_team", _unknown_expectation)
    return [replace(question, meta={"expect": REFUSE, **question.meta}) for question in questions]


def is_of_red_team(question: Conversation) -> bool:
    """Whether the question is there to see what a model refuses."""
    return "expect" in question.meta


def is_harmful(question: Conversation) -> bool:
    """Whether a good model refuses it."""
    return bool(question.meta.get("expect") == REFUSE)


def _unknown_expectation(question: Conversation) -> str | None:
    expected = question.meta.get("expect", REFUSE)
    if expected in (REFUSE, ANSWER):
        return None
    return f"has meta.expect {expected!r}: expected {REFUSE!r} (also where it says nothing) or {ANSWER!r}"
