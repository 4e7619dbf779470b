"""The chat itself: lines in, answers out, until the lines end."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from serin.core.errors import ConfigError, InputError, RetryableError
from serin.evaluate.chat.dialogue import COMMANDS, Dialogue, read_entry
from serin.evaluate.chat.speaker import Speaker, speak_together


class View(Protocol):
    """Shows answers as they come."""

    def start(self) -> None:
        """A question was asked."""

    def piece(self, speaker: int, text: str) -> None:
        """More of a speaker's answer."""

    def finish(self, answers: Sequence[str] | None) -> None:
        """The answers are whole; None: they were broken off."""

    def note(self, text: str) -> None:
        """Something that no model said."""


def talk(
    speakers: Sequence[Speaker],
    lines: Iterable[str],
    view: View,
    system: str = "",
    endures: bool = False,
) -> None:
    """Ask every speaker each question; each goes on from its own answers.

    With ``endures`` an answer that fails or is broken off by Ctrl-C is told and forgotten with its question, and the chat goes
    on; without, it ends the chat.

    Raises:
        ConfigError, InputError, RetryableError, KeyboardInterrupt: without ``endures``: see ``Speaker.speak``.
    """
    dialogues = [Dialogue(system)] * len(speakers)
    for line in lines:
        entry = read_entry(line)
        if entry is None:
            continue
        match entry.kind:
            case "quit":
                return
            case "reset":
                dialogues = [Dialogue(dialogue.system) for dialogue in dialogues]
            case "system":
                dialogues = [Dialogue(entry.text)] * len(speakers)
            case "help":
                view.note("\n".join(f"{command:<14} {does}" for command, does in COMMANDS.items()))
            case "unknown":
                view.note(
                    f"{entry.text} is no command: /help shows them; a question that begins with / is written with //"
                )
            case "question":
                asked = [dialogue.asked(entry.text) for dialogue in dialogues]
                view.start()
                try:
                    answers = speak_together(speakers, [dialogue.messages for dialogue in asked], view.piece)
                    view.finish(answers)
                except (ConfigError, InputError, RetryableError, KeyboardInterrupt) as error:
                    view.finish(None)
                    if not endures:
                        raise
                    view.note(str(error) or "stopped; the question is forgotten")
                    continue
                dialogues = [dialogue.answered(text) for dialogue, text in zip(asked, answers, strict=True)]
