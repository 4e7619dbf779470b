"""``params.yaml`` with every field explained; fields, defaults and explanations are those of the params' own classes."""

import textwrap
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from serin.core.params import Params
from serin.core.params.section import Section

_WIDTH = 116
_INDENT = 2


def params_text(params: Params, title: str, notes: Mapping[str, str], examples: Mapping[str, Section] = {}) -> str:
    """The YAML text of ``params``: each field on a line of its own, what it means in a comment above it.

    It parses back to exactly ``params``.

    Args:
        params: the values.
        title: a comment at the top.
        notes: more to say of a field, by its dotted path, such as ``prepare.max_tokens``.
        examples: sections by their dotted path that stand there as comments, to be uncommented, where params have none.
    """
    return "\n".join([*_comment(title, 0), "", *_Writer(notes, examples).section(params, "", 0)]) + "\n"


class _Writer:
    """Explains each class of section once, at its first appearance: a list may hold many of one class."""

    def __init__(self, notes: Mapping[str, str], examples: Mapping[str, Section]) -> None:
        self._notes = notes
        self._examples = examples
        self._explained: set[type[Section]] = set()

    def section(self, section: Section, path: str, indent: int, one_of_many: bool = False) -> Iterator[str]:
        """Lines of a section's fields, explained where its class was not before.

        Of ``one_of_many`` the ones after the first show only what differs from the defaults.
        """
        explain = type(section) not in self._explained
        self._explained.add(type(section))
        whole = explain or not one_of_many
        shown = type(section).model_fields if whole else section.model_dump(exclude_defaults=True)
        apart = False
        for number, name in enumerate(shown):
            value = getattr(section, name)
            at = f"{path}.{name}" if path else name
            nested = isinstance(value, Section)
            if number and (nested or apart):
                yield ""
            apart = nested
            if explain:
                yield from _comment(_explanation(type(section).model_fields[name], value), indent)
            yield from _comment(self._notes.get(at, ""), indent)
            if value is None and at in self._examples:
                yield from _commented(self._entry(name, self._examples[at], at, indent), indent)
            else:
                yield from self._entry(name, value, at, indent)

    def _entry(self, name: str, value: Any, path: str, indent: int) -> Iterator[str]:
        key = f"{' ' * indent}{_flow(name)}:"
        below = indent + _INDENT
        if isinstance(value, Section):
            yield key
            yield from self.section(value, path, below)
        elif isinstance(value, list) and any(isinstance(item, Section) for item in value):
            yield key
            for item in value:
                yield from _dashed(self.section(item, path, below + _INDENT, one_of_many=True), below)
        elif isinstance(value, dict) and any(isinstance(item, Section) for item in value.values()):
            yield key
            for inner, item in value.items():
                yield from self._entry(inner, item, f"{path}.{inner}", below)
        else:
            yield f"{key} {_flow(value)}"


def _dashed(lines: Iterator[str], indent: int) -> Iterator[str]:
    """The lines of a mapping as one element of a list: a dash before its first key."""
    dashed = False
    for line in lines:
        if dashed or line.lstrip().startswith("#"):
            yield line
        else:
            yield f"{' ' * indent}- {line.lstrip()}"
            dashed = True


def _commented(lines: Iterator[str], indent: int) -> Iterator[str]:
    """The lines as comments, which are YAML again without ``# ``."""
    for line in lines:
        yield f"{' ' * indent}# {line[indent:]}".rstrip()


def _explanation(field: FieldInfo, value: Any) -> str:
    of_class = " ".join((type(value).__doc__ or "").split()) if isinstance(value, Section) else ""
    choices = ", ".join(map(str, _choices(field.annotation)))
    count = "Any" if get_origin(field.annotation) is list else "One"
    parts = (field.description, of_class, f"{count} of: {choices}." if choices else "")
    return " ".join(part for part in parts if part).replace("``", "`")


def _choices(annotation: Any) -> tuple[Any, ...]:
    """What a field, or an element of a list, may be, where that is a fixed set."""
    origin = get_origin(annotation)
    if origin is Literal:
        return get_args(annotation)
    if origin in (Union, UnionType, list):
        return tuple(choice for part in get_args(annotation) for choice in _choices(part))
    return ()


def _comment(text: str, indent: int) -> Iterator[str]:
    start = f"{' ' * indent}# "
    for paragraph in text.splitlines():
        yield from textwrap.wrap(
            paragraph,
            _WIDTH,
            initial_indent=start,
            subsequent_indent=start,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=float("inf"))
    return text.removesuffix("...\n").strip()
