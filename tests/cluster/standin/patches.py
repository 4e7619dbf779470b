"""RFC 7386 merge patches, RFC 6902 JSON patches, and as much of strategic merge patches as callers here rely on."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from .refusals import Refusal, bad_request


def merged(target: Any, patch: Any) -> Any:
    """``target`` after a merge patch: null removes, lists are replaced."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


_MERGED_BY = {"conditions": "type", "ownerReferences": "uid"}
"""Lists that a strategic merge patch merges, by their items' key; all others are replaced here, where Kubernetes merges some."""


def strategic(target: Any, patch: Any) -> Any:
    """``target`` after a strategic merge patch (sig-api-machinery, strategic-merge-patch.md)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif name in _MERGED_BY and isinstance(value, list):
            result[name] = _items(result.get(name) or [], value, _MERGED_BY[name])
        else:
            result[name] = strategic(result.get(name), value)
    return result


def _items(target: Sequence[Any], patch: Sequence[Any], key: str) -> list[Any]:
    result = {item[key]: item for item in target}
    for item in patch:
        result[item[key]] = strategic(result.get(item[key]), item)
    return list(result.values())


def patched(target: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """``target`` after a JSON patch. Raises Refusal where an operation cannot be done or a test fails."""
    document = {"": copy.deepcopy(target)}
    for operation in operations:
        verb, path = operation["op"], _tokens(operation["path"])
        if verb in ("move", "copy"):
            source = _tokens(operation["from"])
            value = copy.deepcopy(_get(document, source))
            if verb == "move":
                _remove(document, source)
            _add(document, path, value)
        elif verb == "add":
            _add(document, path, copy.deepcopy(operation["value"]))
        elif verb == "remove":
            _remove(document, path)
        elif verb == "replace":
            _get(document, path)
            _remove(document, path)
            _add(document, path, copy.deepcopy(operation["value"]))
        elif verb == "test":
            if _get(document, path) != operation["value"]:
                raise Refusal(422, "Invalid", f"testing value {operation['path']} failed: test failed")
        else:
            raise bad_request(f"unexpected kind of patch operation: {verb}")
    return document[""]


def _tokens(pointer: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in ["", *pointer.split("/")[1:]]]


def _get(document: Any, path: list[str]) -> Any:
    for token in path:
        try:
            document = document[int(token)] if isinstance(document, list) else document[token]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise Refusal(422, "Invalid", f"doc is missing path: {'/'.join(path)}: missing value") from error
    return document


def _add(document: Any, path: list[str], value: Any) -> None:
    parent, last = _get(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else int(last), value)
    else:
        parent[last] = value


def _remove(document: Any, path: list[str]) -> None:
    _get(document, path)
    parent = _get(document, path[:-1])
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]
