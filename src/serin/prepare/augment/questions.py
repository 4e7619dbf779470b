"""Questions with answers from a passage, by a model: what it is asked, and what of its answer may be used."""

from serin.clients.endpoint import Request
from serin.prepare.augment.answers import objects_in
from serin.prepare.record.shingles import normalised

_PROMPT = """\
Below is a passage of a document. Write up to {count} questions that it answers, each with its answer.
- Use only what the passage says; add nothing that you know from elsewhere.
- A question must be clear to somebody who does not have the passage: name what it is about.
- Never speak of "the passage", "the text" or "the document".
- Answer in whole sentences, with the numbers and names of the passage.
- Write in the language of the passage.
Reply with a JSON array of objects with the keys "question" and "answer", and nothing else.
Where the passage answers no question, reply with [].

Passage:
{passage}"""
_KEYS = frozenset({"question", "answer"})
_TEMPERATURE = 0.5
_TOKENS_AROUND = 100
_TOKENS_EACH = 300


def request_questions(passage: str, count: int, seed: int) -> Request:
    """Ask for up to ``count`` questions that the passage answers."""
    return Request(
        messages=({"role": "user", "content": _PROMPT.format(count=count, passage=passage)},),
        temperature=_TEMPERATURE,
        seed=seed,
        max_tokens=_TOKENS_AROUND + count * _TOKENS_EACH,
    )


def read_questions(answer: str, count: int) -> list[tuple[str, str]]:
    """At most ``count`` pairs of a question and its answer, neither of them empty and no question twice."""
    kept: dict[str, tuple[str, str]] = {}
    for pair in objects_in(answer, _KEYS):
        asked, answered = pair["question"], pair["answer"]
        if isinstance(asked, str) and isinstance(answered, str) and asked.strip() and answered.strip():
            kept.setdefault(normalised(asked.strip()), (asked.strip(), answered.strip()))
    return list(kept.values())[:count]
