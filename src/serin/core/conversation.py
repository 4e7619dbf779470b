"""The one record type, from raw data to serving: a conversation of messages, plus what is known about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from serin.core.errors import InputError

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``role`` is one of ``ROLES``; ``content`` is plain text."""

    role: Role
    content: str

    def as_dict(self) -> dict[str, str]:
        """The turn as the OpenAI API and the chat templates of transformers take it."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in order, and ``meta``: at least ``id``; ``source``, ``language`` and ``group`` where known."""

    messages: tuple[Message, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The record's identity, as ``prepare`` gave it."""
        return str(self.meta["id"])

    @property
    def language(self) -> str:
        """ISO 639-1 code, or ``und`` (undetermined) where nobody knows."""
        return str(self.meta.get("language", "und"))

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Everything before the last assistant turn: what a model is given to answer."""
        return self.messages[:-1] if self.messages[-1].role == "assistant" else self.messages

    @property
    def reference(self) -> str:
        """The last assistant turn's text: what the data says the answer is; empty where there is none."""
        return self.messages[-1].content if self.messages[-1].role == "assistant" else ""

    @property
    def user_text(self) -> str:
        """All user turns, one a line: what duplicates and leakage are judged on."""
        return "\n".join(m.content for m in self.messages if m.role == "user")

    def as_dict(self) -> dict[str, Any]:
        """The record as one line of a dataset file."""
        return {"messages": [m.as_dict() for m in self.messages], "meta": dict(self.meta)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Conversation":
        """Read a record that ``as_dict`` made. Raises InputError where it is not one."""
        try:
            messages = tuple(Message(role=_role(m["role"]), content=str(m["content"])) for m in record["messages"])
            meta = dict(record["meta"])
            meta["id"]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"not a conversation ({error!r}): expected messages of role/content and meta.id; run 'serin prepare'"
            ) from error
        return cls(messages=messages, meta=meta)


def _role(value: Any) -> Role:
    for role in ROLES:
        if value == role:
            return role
    raise ValueError(f"role {value!r}")


def faults_of_turns(messages: Sequence[Message]) -> str | None:
    """Why these turns cannot be trained on, or None: an optional system turn, then user and assistant by turns.

    The last turn must be the assistant's, and no turn may be empty.
    """
    turns = list(messages[1:] if messages and messages[0].role == "system" else messages)
    if any(not m.content.strip() for m in messages):
        return "empty_turn"
    if not turns or any(m.role != ("user", "assistant")[i % 2] for i, m in enumerate(turns)):
        return "role_order"
    return None if len(turns) % 2 == 0 else "role_order"
