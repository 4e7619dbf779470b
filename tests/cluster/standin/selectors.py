"""Label and field selectors, as lists and watches take them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from .refusals import bad_request

Matches = Callable[[Mapping[str, Any]], bool]
_SET = re.compile(r"^\s*([^\s!=,]+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_FIELDS = {
    "metadata.name",
    "metadata.namespace",
    "spec.nodeName",
    "status.phase",
    "reason",
    "type",
    *(
        f"{about}.{field}"
        for about in ("involvedObject", "regarding")
        for field in ("name", "kind", "uid", "namespace")
    ),
}


def labels(selector: str) -> Matches:
    """``a=b, c!=d, e in (f, g), h notin (i), j, !k``."""
    wanted = [_requirement(part) for part in re.split(r",(?![^(]*\))", selector) if part.strip()]

    def matches(found: Mapping[str, Any]) -> bool:
        have = found["metadata"].get("labels") or {}
        return all(requirement(have) for requirement in wanted)

    return matches


def fields(selector: str) -> Matches:
    """``metadata.name=a,involvedObject.uid!=b``. Raises Refusal for a field that cannot be selected by."""
    wanted = []
    for part in filter(None, selector.split(",")):
        path, operator, value = _comparison(part)
        if path not in _FIELDS:
            raise bad_request(f"field label not supported: {path}")
        wanted.append((path.split("."), operator, value))

    def matches(found: Mapping[str, Any]) -> bool:
        return all((_at(found, path) == value) == (operator == "=") for path, operator, value in wanted)

    return matches


def _requirement(part: str) -> Callable[[Mapping[str, str]], bool]:
    if among := _SET.match(part):
        key, operator, values = among[1], among[2], {value.strip() for value in among[3].split(",")}
        return lambda have: (have.get(key) in values) == (operator == "in")
    part = part.strip()
    if "=" not in part:
        return (lambda have: part[1:] not in have) if part.startswith("!") else (lambda have: part in have)
    key, operator, value = _comparison(part)
    return lambda have: (have.get(key) == value) == (operator == "=")


def _comparison(part: str) -> tuple[str, str, str]:
    parsed = re.match(r"^\s*([^\s!=]+)\s*(==|!=|=)\s*([^\s=]*)\s*$", part)
    if parsed is None:
        raise bad_request(f"unable to parse requirement: {part!r}")
    return parsed[1], "!=" if parsed[2] == "!=" else "=", parsed[3]


def _at(found: Any, path: list[str]) -> str:
    for name in path:
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, str) else ""
