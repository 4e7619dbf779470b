"""The one record type, from raw data to serving: a conversation of messages, plus what is known about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from serin.core.errors import InputError

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn, as the OpenAI API has it. ``role`` is one of ``ROLES``; ``content`` is plain text.

    ``tool_calls`` and ``reasoning_content`` are an assistant's; ``tool_call_id`` and ``name`` say which call a tool's turn
    answers. ``train`` is false where an assistant's turn is context only, and no loss is taken on it.
    """

    role: Role
    content: str
    reasoning_content: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    train: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The turn as the OpenAI API and the chat templates of transformers take it, so without ``train``."""
        turn: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.reasoning_content is not None:
            turn["reasoning_content"] = self.reasoning_content
        if self.tool_calls:
            turn["tool_calls"] = list(self.tool_calls)
        if self.tool_call_id is not None:
            turn["tool_call_id"] = self.tool_call_id
        if self.name is not None:
            turn["name"] = self.name
        return turn

    @property
    def says_nothing(self) -> bool:
        """No text and no call of a tool."""
        return not self.content.strip() and not self.tool_calls


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in order, and ``meta``: at least ``id``; ``source``, ``language`` and ``group`` where known.

    ``tools`` are the JSON schemas of the functions that the assistant may call.
    """

    messages: tuple[Message, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()

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

    @property
    def whole_text(self) -> str:
        """All turns, one a line."""
        return "\n".join(m.content for m in self.messages)

    def text(self, on: Literal["user", "conversation"]) -> str:
        """What is compared with other records: the user's turns, or every turn."""
        return self.user_text if on == "user" else self.whole_text

    def as_dict(self) -> dict[str, Any]:
        """The record as one line of a dataset file; a turn that is not trained on says ``train: false``."""
        turns = [m.as_dict() if m.train else {**m.as_dict(), "train": False} for m in self.messages]
        tools = {"tools": list(self.tools)} if self.tools else {}
        return {"messages": turns, **tools, "meta": dict(self.meta)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Conversation":
        """Read a record that ``as_dict`` made. Raises InputError where it is not one."""
        try:
            messages = tuple(_message(turn) for turn in record["messages"])
            meta = dict(record["meta"])
            meta["id"]
            tools = tuple(record.get("tools", ()))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"not a conversation ({error!r}): expected messages of role/content and meta.id; run 'serin prepare'"
            ) from error
        return cls(messages, meta, tools)


def _message(turn: Mapping[str, Any]) -> Message:
    return Message(
        role=_role(turn["role"]),
        content=str(turn["content"]),
        reasoning_content=turn.get("reasoning_content"),
        tool_calls=tuple(turn.get("tool_calls", ())),
        tool_call_id=turn.get("tool_call_id"),
        name=turn.get("name"),
        train=bool(turn.get("train", True)),
    )


def _role(value: Any) -> Role:
    for role in ROLES:
        if value == role:
            return role
    raise ValueError(f"role {value!r}")


# Which roles may follow which; an assistant that called tools waits for their answers.
_NEXT = {
    "user": ("assistant",),
    "assistant": ("user",),
    "called": ("tool",),
    "tool": ("tool", "assistant"),
    "system": (),
}


def faults_of_turns(messages: Sequence[Message]) -> str | None:
    """Why these turns cannot be trained on, or None.

    An optional system turn comes first, then user and assistant by turns; an assistant that calls tools is followed by
    their answers. The last turn is an assistant's, which says something or calls a tool, and some assistant's turn is trained
    on. Reasons:
    ``empty_answer`` (the last turn is the assistant's and empty), ``empty_turn``, ``role_order`` and ``nothing_to_train``.
    """
    if messages and messages[-1].role == "assistant" and messages[-1].says_nothing:
        return "empty_answer"
    if any(m.says_nothing for m in messages if m.role != "tool"):
        return "empty_turn"
    turns = list(messages[1:] if messages and messages[0].role == "system" else messages)
    if not turns or turns[0].role != "user" or turns[-1].role != "assistant":
        return "role_order"
    for before, turn in pairwise(turns):
        after = "called" if before.tool_calls else before.role
        if turn.role not in _NEXT[after]:
            return "role_order"
    return None if any(m.role == "assistant" and m.train for m in messages) else "nothing_to_train"
