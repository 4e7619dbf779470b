"""Texts of others within Markdown."""

import re

_MARKS = re.compile(r"([\\`*_\[\]|~#])")


def plain(text: str) -> str:
    """The text on one line, so that Markdown shows it as it is, also within a table, and takes nothing in it for HTML."""
    text = _MARKS.sub(r"\\\1", " ".join(text.split()))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
