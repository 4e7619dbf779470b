"""What was said so far, and what a typed line means."""

from dataclasses import dataclass, replace
from typing import Literal

from serin.core.conversation import Message

Kind = Literal["question", "system", "reset", "help", "quit", "unknown"]

COMMANDS = {
    "/reset": "forget what was said",
    "/system TEXT": "say what the model should be, and begin anew; without TEXT nothing of the kind",
    "/help": "show these",
    "/quit": "end",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A typed line."""

    kind: Kind
    text: str = ""
    """The question, the system prompt, or the command that is none."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One model's side of a chat."""

    system: str = ""
    turns: tuple[Message, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """What a model is given, the system prompt first."""
        return (*([Message("system", self.system)] if self.system else []), *self.turns)

    def asked(self, question: str) -> "Dialogue":
        """With a question at the end."""
        return replace(self, turns=(*self.turns, Message("user", question)))

    def answered(self, answer: str) -> "Dialogue":
        """With the model's answer at the end."""
        return replace(self, turns=(*self.turns, Message("assistant", answer)))


def read_entry(line: str) -> Entry | None:
    """What a line means, None for an empty one; a question that begins with a slash is written with two."""
    line = line.strip()
    if not line:
        return None
    if not line.startswith("/"):
        return Entry("question", line)
    if line.startswith("//"):
        return Entry("question", line[1:])
    command, _, text = line.partition(" ")
    if command == "/system":
        return Entry("system", text.strip())
    for kind in ("reset", "help", "quit"):
        if line == f"/{kind}":
            return Entry(kind)
    return Entry("unknown", command)
