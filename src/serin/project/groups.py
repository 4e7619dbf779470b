"""Which field names the group of a record: the records that share an answer, such as the phrasings of one fact."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

from serin.prepare.raw.formats import Parsed

_NAMES = ("fact", "fact_id", "group", "group_id")
_MOST = 0.8


def group_field(records: Sequence[Parsed]) -> str | None:
    """The field whose groups share an answer, or that has the name of one; None where no field does.

    A field that only sorts records by topic has groups of several answers. One that only repeats a label has fewer values
    than the square root of the records, and one beside labels has far more values than there are answers. None will do.
    """
    named = Counter(name for record in records for name in record.meta if name in _NAMES)
    if named:
        return named.most_common(1)[0][0]
    names = Counter(name for record in records for name, value in record.meta.items() if _names_something(value))
    found = {name: groups for name in names if (groups := _groups_with_one_answer(records, name))}
    return max(found, key=lambda name: found[name]) if found else None


def common_group_field(fields: Iterable[str | None]) -> str | None:
    """The field that most files have as theirs."""
    counted = Counter(field for field in fields if field is not None)
    return counted.most_common(1)[0][0] if counted else None


def _groups_with_one_answer(records: Sequence[Parsed], name: str) -> int:
    """How many groups of two records and more share an answer, or 0 where that is not the rule."""
    answers: dict[str | int, list[str]] = defaultdict(list)
    for record in records:
        value = record.meta.get(name)
        if _names_something(value) and record.turns:
            answers[value].append(record.turns[-1].content.strip())
    repeated = [given for given in answers.values() if len(given) > 1]
    shared = sum(len(set(given)) == 1 for given in repeated)
    different = len({answer for given in answers.values() for answer in given})
    is_label = len(answers) ** 2 < sum(map(len, answers.values())) or 2 * different < len(answers)
    return shared if shared > 1 and shared >= _MOST * len(repeated) and not is_label else 0


def _names_something(value: Any) -> TypeGuard[str | int]:
    return isinstance(value, str | int) and not isinstance(value, bool)
