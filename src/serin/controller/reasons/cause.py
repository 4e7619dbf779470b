"""Why something is as it is: a word for machines and a sentence for people."""

from dataclasses import dataclass

MESSAGE_LENGTH = 2000
"""Longest message, in characters: a FineTune's status is for reading, and the whole log is in storage."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason in CamelCase, as in a condition, and what was found, what was expected and what to do."""

    reason: str
    message: str
    exit_code: int | None = None
    """Of the container that ended, where one did."""


def shortened(text: str) -> str:
    """The end of a long text: what went wrong is said last."""
    return text if len(text) <= MESSAGE_LENGTH else f"… {text[-MESSAGE_LENGTH + 2 :]}"
