"""Which columns hold the question and the answer, in records of no known format: a guess from names and content."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "group", "language", "id"]

_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")
_ASKS = frozenset(
    {"q", "question", "query", "prompt", "instruction", "input", "ask", "asked", "user", "problem", "问题", "提问"}
)
_ANSWERS = frozenset(
    {"a", "answer", "response", "reply", "completion", "output", "assistant", "solution", "回答", "答案"}
)
_SYSTEM = frozenset({"system", "prompt", "message", "instruction"})
_LANGUAGE = frozenset({"lang", "language", "locale"})
_LANGUAGE_CODE = re.compile(r"[a-z]{2}")
_PROSE = re.compile(r"\S\s+\S|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{4}")
_ASKING = ("?", "？")
_MOST = 0.8
_CLEARLY = 0.3
_DEEPEST = 3


def guess_columns(records: Sequence[Mapping[str, Any]]) -> dict[Role, str] | None:
    """The columns (or dotted paths) of ``user`` and ``assistant``, and of ``system`` and ``language`` where there are some.

    Names decide where exactly one asks and one answers. Otherwise there must be exactly two columns of prose: the one with
    more question marks asks, and the first one where that does not tell. None where neither holds.
    """
    columns = texts_by_column(records)
    system = next((name for name in columns if "system" in _words(name) <= _SYSTEM), None)
    texts = [name for name, values in columns.items() if len(values) >= _MOST * len(records) and name != system]
    prose = [name for name in texts if _share(columns[name], _is_prose) >= _MOST]
    asks, answers = (_only(texts, words) or _only(prose, words) for words in (_ASKS, _ANSWERS))
    if (asks is None or answers is None or asks == answers) and len(prose) == 2:
        asks, answers = _of_two(prose, columns, asks, answers)
    if asks is None or answers is None or asks == answers:
        return None
    found: dict[Role, str] = {"user": asks, "assistant": answers}
    if system is not None:
        found["system"] = system
    codes = [name for name in columns if _share(columns[name], _LANGUAGE_CODE.fullmatch) >= _MOST]
    if (language := _only(codes, _LANGUAGE)) is not None:
        found["language"] = language
    return found


def texts_by_column(records: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The texts that are not blank, by column or dotted path, in the order in which the columns appear."""
    columns: dict[str, list[str]] = {}
    for record in records:
        for path, value in _leaves(record, "", 1):
            if isinstance(value, str) and value.strip():
                columns.setdefault(path, []).append(value)
    return columns


def _leaves(record: Mapping[str, Any], above: str, depth: int) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _leaves(value, f"{path}.", depth + 1)
        else:
            yield path, value


def _of_two(
    prose: Sequence[str], columns: Mapping[str, Sequence[str]], asks: str | None, answers: str | None
) -> tuple[str, str]:
    first, second = prose
    if asks != answers and (asks == second or answers == first):
        return second, first
    if asks != answers and (asks == first or answers == second):
        return first, second
    more = _share(columns[second], _asks) - _share(columns[first], _asks)
    return (second, first) if more > _CLEARLY else (first, second)


def _only(names: Sequence[str], words: frozenset[str]) -> str | None:
    """The one name that has one of ``words`` in it, or None where none or several have."""
    named = [name for name in names if words & _words(name)]
    return named[0] if len(named) == 1 else None


def _words(name: str) -> frozenset[str]:
    return frozenset(word.casefold().removesuffix("s") for word in _SPLIT.findall(name))


def _share(values: Sequence[str], holds: Any) -> float:
    return sum(bool(holds(value)) for value in values) / len(values)


def _is_prose(text: str) -> bool:
    return _PROSE.search(text) is not None


def _asks(text: str) -> bool:
    return text.rstrip().endswith(_ASKING)
