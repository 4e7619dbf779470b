"""Which slices a question belongs to: all, its language, its topic, how long it is."""

from collections import Counter
from collections.abc import Mapping, Sequence

from serin.core.conversation import Conversation

ALL = "all"
LENGTH = "length"
SMALLEST = 5
"""Fewest questions of a slice that is reported: an interval over fewer says nothing."""
MOST = 20
"""Most slices by one field, the largest first; a field that is nearly an identity has thousands."""
_LENGTHS = ("short", "medium", "long")


def slices_of(questions: Sequence[Conversation], fields: Sequence[str]) -> list[dict[str, str]]:
    """Of each question its value by field: of ``meta``, or ``length``; a field that it does not have is left out.

    ``length`` is that of the user's turns, in thirds of the questions in the same language: a Chinese sentence has fewer
    characters than an English one that says the same.
    """
    by_length = _lengths(questions) if LENGTH in fields else []
    found: list[dict[str, str]] = []
    for i, question in enumerate(questions):
        values = {field: str(question.meta[field]) for field in fields if question.meta.get(field) is not None}
        if "language" in fields:
            values["language"] = question.language
        if LENGTH in fields:
            values[LENGTH] = by_length[i]
        found.append(values)
    return found


def members(of_each: Sequence[Mapping[str, str]]) -> dict[str, list[int]]:
    """Indices of the questions in each slice that is reported: ``all``, and ``field=value``."""
    counts: dict[str, Counter[str]] = {}
    for values in of_each:
        for field, value in values.items():
            counts.setdefault(field, Counter())[value] += 1
    found = {ALL: list(range(len(of_each)))}
    for field in counts:
        kept = sorted(counts[field].items(), key=lambda item: (-item[1], item[0]))[:MOST]
        for value in sorted(value for value, count in kept if count >= SMALLEST):
            found[f"{field}={value}"] = [i for i, values in enumerate(of_each) if values.get(field) == value]
    return found


def _lengths(questions: Sequence[Conversation]) -> list[str]:
    in_language: dict[str, list[int]] = {}
    for question in questions:
        in_language.setdefault(question.language, []).append(len(question.user_text))
    thirds = {}
    for language, lengths in in_language.items():
        ordered = sorted(lengths)
        thirds[language] = (ordered[(len(ordered) - 1) // 3], ordered[2 * (len(ordered) - 1) // 3])
    return [_LENGTHS[sum(len(q.user_text) > end for end in thirds[q.language])] for q in questions]
