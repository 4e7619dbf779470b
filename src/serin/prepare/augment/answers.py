"""JSON in the answers of models, which put it into fences, talk around it and break off in its middle."""

import json
import re
from collections.abc import Iterator
from typing import Any

# Not strict: models write line ends into strings as they are.
_DECODER = json.JSONDecoder(strict=False)
# Of brackets within brackets the innermost begins the array that is meant; an object begins with a key.
_ARRAY = re.compile(r"\[(?!\s*\[)")
_OBJECT = re.compile(r"\{(?=\s*\")")
_BETWEEN = re.compile(r"[\s,，]*")
_ITEM = re.compile(r"^[ \t]*(?:\d{1,3}[.)、．:：]|[-*•])[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_QUOTES = "\"'“”「」"


def strings_in(answer: str) -> list[str]:
    """The strings of the first JSON array that holds any, whole or broken off; else the items of a list, one a line."""
    for bracket in _ARRAY.finditer(answer):
        strings = [value for value in _values(answer, bracket.end()) if isinstance(value, str)]
        if strings:
            return strings
    return [item.strip(_QUOTES) for item in _ITEM.findall(answer)]


def objects_in(answer: str, keys: frozenset[str]) -> list[dict[str, Any]]:
    """Every JSON object that has the keys, wherever it stands, as long as it is whole."""
    found: list[dict[str, Any]] = []
    past = 0
    for brace in _OBJECT.finditer(answer):
        if brace.start() < past:
            continue
        value, end = _value(answer, brace.start())
        if isinstance(value, dict) and keys <= value.keys():
            found.append(value)
            past = end
    return found


def _values(text: str, at: int) -> Iterator[Any]:
    while True:
        gap = _BETWEEN.match(text, at)
        value, end = _value(text, gap.end() if gap else at)
        if end == 0:
            return
        yield value
        at = end


def _value(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins there and where it ends; the end is 0 where there is none."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, 0
