"""A record's turns, cleaned, and the rules they have to keep."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from serin.core.cleaning import Mending, clean_text
from serin.core.conversation import ROLES, Message, Role, faults_of_turns
from serin.prepare.raw.formats import RawTurn

_ROLES: Mapping[str, Role] = {role: role for role in ROLES}


def clean_turns(
    turns: Sequence[RawTurn], markup: Literal["strip", "keep"]
) -> tuple[tuple[Message, ...], frozenset[Mending]] | str:
    """The turns as they may be trained on and what was mended in them, or why they may not be.

    Reasons: ``unknown_role`` and those of ``faults_of_turns``.
    """
    messages: list[Message] = []
    mended: frozenset[Mending] = frozenset()
    for turn in turns:
        if turn.role not in _ROLES:
            return "unknown_role"
        content, changed = clean_text(turn.content, markup)
        mended |= changed
        if not turn.extra:
            messages.append(Message(_ROLES[turn.role], content))
            continue
        extra: dict[str, Any] = dict(turn.extra)
        if "reasoning_content" in extra:
            extra["reasoning_content"], changed = clean_text(extra["reasoning_content"], markup)
            mended |= changed
        messages.append(Message(_ROLES[turn.role], content, **extra))
    return faults_of_turns(messages) or (tuple(messages), mended)
