"""A question in other words, by a model: what it is asked, and which of its proposals may be used."""

import re
import unicodedata

from serin.clients.endpoint import Request
from serin.prepare.augment.answers import strings_in
from serin.prepare.record.shingles import normalised

LONGEST_CHARS = 4000
"""Longer questions are texts to work on: models shorten them instead of asking in other words."""

_PROMPT = """\
Ask the question below in {count} other ways.
- Write in the language of the question.
- Keep its meaning: the answer to it must stay right, word for word.
- Keep every number, name, technical term and placeholder such as [EMAIL] exactly as it is written.
- Change the wording and the order of the words, as different people would.
Reply with a JSON array of {count} strings, and nothing else.

Question:
{question}"""
_TEMPERATURE = 0.8
_TOKENS_AROUND = 100
_TOKENS_MORE_EACH = 20
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_PLACEHOLDER = re.compile(r"\[[A-Z_]+\]")


def request_paraphrases(question: str, count: int, seed: int) -> Request:
    """Ask for ``count`` paraphrases; a character takes at most a token in the languages that are common."""
    return Request(
        messages=({"role": "user", "content": _PROMPT.format(count=count, question=question)},),
        temperature=_TEMPERATURE,
        seed=seed,
        max_tokens=_TOKENS_AROUND + count * (len(question) + _TOKENS_MORE_EACH),
    )


def read_paraphrases(answer: str, question: str, count: int) -> list[str]:
    """At most ``count`` proposals that are new in wording and keep the question's digits and placeholders."""
    kept: list[str] = []
    seen = {normalised(question)}
    for proposal in strings_in(answer):
        text = proposal.strip()
        said = normalised(text)
        if text and said not in seen and _fixed_in(text) == _fixed_in(question):
            seen.add(said)
            kept.append(text)
    return kept[:count]


def _fixed_in(text: str) -> frozenset[str]:
    numbers = (number.replace(",", "") for number in _NUMBER.findall(unicodedata.normalize("NFKC", text)))
    return frozenset([*numbers, *_PLACEHOLDER.findall(text)])
