"""How large the texts, lists and maps of a spec may be where nothing closer is said.

The API server estimates what CEL's rules cost from such bounds, and refuses a CustomResourceDefinition without them
(kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions, "Resource use by validation functions").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of values that have none of their own."""

    text: int
    """Characters of a text."""
    item: int
    """Characters of a text in a list or a map."""
    items: int
    """Entries of a list or a map."""


SPEC = Bounds(text=4096, item=1024, items=64)
STATUS = Bounds(text=32_768, item=32_768, items=64)


def faults_of_size(value: Any, bounds: Bounds = SPEC) -> list[str]:
    """Where a JSON value is larger than an object on a cluster may have it: path, size, bound."""
    return list(_faults(value, bounds, (), bounds.text))


def _faults(value: Any, bounds: Bounds, at: tuple[str, ...], longest: int) -> Iterator[str]:
    path = ".".join(at)
    if isinstance(value, str) and len(value) > longest:
        yield f"{path}: {len(value)} characters, and an object on a cluster holds {longest} there; shorten it"
    if isinstance(value, list | dict):
        entries = list(enumerate(value)) if isinstance(value, list) else list(value.items())
        if len(entries) > bounds.items:
            yield f"{path}: {len(entries)} entries, and an object on a cluster holds {bounds.items} there; take fewer"
        for name, inner in entries:
            in_list = isinstance(value, list)
            yield from _faults(inner, bounds, (*at, str(name)), bounds.item if in_list else bounds.text)
