"""Names that Kubernetes takes, checked before a cluster is asked."""

import re
from typing import Any

import click

_LABEL = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"


class Name(click.ParamType[str]):
    """What Kubernetes takes for a name (RFC 1123): a label for a namespace, and labels with dots between them for an object."""

    name = "name"

    def __init__(self, pattern: str, words: str) -> None:
        self.pattern = pattern
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name. Raises BadParameter where Kubernetes would take none such."""
        if not re.fullmatch(self.pattern, str(value)):
            self.fail(f"{value!r} is no name: {self.words}, with a letter or digit at both ends", param, ctx)
        return str(value)


OBJECT = Name(rf"{_LABEL}(?:\.{_LABEL})*", "lower-case letters, digits, hyphens and dots")
NAMESPACE = Name(_LABEL, "at most 63 lower-case letters, digits and hyphens")
