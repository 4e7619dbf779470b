"""Speakers whose words are known, and a view that remembers what it was told."""

import time
from collections.abc import Sequence
from threading import Event

from serin.core.conversation import Message
from serin.evaluate.chat.speaker import OnText


class Echo:
    """Says how many turns it was given, and the last of them, word by word."""

    def __init__(self, name: str = "echo", pause_s: float = 0.0, fails: BaseException | None = None) -> None:
        self.name = name
        self.given: list[tuple[Message, ...]] = []
        self.stopped = Event()
        self._pause_s = pause_s
        self._fails = fails

    def speak(self, messages: Sequence[Message], on_text: OnText) -> str:
        self.given.append(tuple(messages))
        if self._fails is not None and messages[-1].content == "fail":
            raise self._fails
        words = [f"{self.name}", f"{len(messages)}", *messages[-1].content.split()]
        try:
            for word in words:
                on_text(f"{word} ")
                time.sleep(self._pause_s)
        except BaseException:
            self.stopped.set()
            raise
        return " ".join(words)


class Seen:
    """Remembers what was shown."""

    def __init__(self) -> None:
        self.answers: list[list[str] | None] = []
        self.pieces: list[tuple[int, str]] = []
        self.notes: list[str] = []
        self.starts = 0

    def start(self) -> None:
        self.starts += 1

    def piece(self, speaker: int, text: str) -> None:
        self.pieces.append((speaker, text))

    def finish(self, answers: Sequence[str] | None) -> None:
        self.answers.append(None if answers is None else list(answers))

    def note(self, text: str) -> None:
        self.notes.append(text)
