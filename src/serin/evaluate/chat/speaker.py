"""Who can be talked to, and several of them answering at once."""

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import Protocol

from serin.core.conversation import Message

OnText = Callable[[str], None]


class Speaker(Protocol):
    """One model."""

    @property
    def name(self) -> str:
        """How it is shown."""

    def speak(self, messages: Sequence[Message], on_text: OnText) -> str:
        """The whole answer; ``on_text`` hears it piece by piece, and may raise to stop. Waits until an answer before has stopped.

        Raises:
            ConfigError: the messages cannot be rendered, or an endpoint refuses.
            InputError: they leave no room for an answer.
            RetryableError: an endpoint does not answer, or breaks off.
        """


class _Stopped(Exception):
    """Nobody listens any more."""


def speak_together(
    speakers: Sequence[Speaker], messages: Sequence[Sequence[Message]], on_text: Callable[[int, str], None]
) -> list[str]:
    """The answers, in the order of the speakers; ``on_text`` hears their pieces, in this thread, as they come.

    Each speaks in a thread of its own. Whatever is raised, by a speaker, by ``on_text`` or by Ctrl-C, is raised at once, and each
    speaker stops at its next piece.
    """
    heard: SimpleQueue[tuple[int, str | None]] = SimpleQueue()  # None: that speaker has ended
    stopped = Event()
    answers: dict[int, str] = {}
    errors: list[BaseException] = []

    def hear(i: int, text: str) -> None:
        if stopped.is_set():
            raise _Stopped
        heard.put((i, text))

    def work(i: int) -> None:
        try:
            answers[i] = speakers[i].speak(messages[i], lambda text: hear(i, text))
        except BaseException as error:  # raised again by the thread that listens
            errors.append(error)
        heard.put((i, None))

    for i in range(len(speakers)):
        Thread(target=work, args=(i,), daemon=True).start()
    speaking = len(speakers)
    try:
        while speaking and not errors:
            i, text = heard.get()
            if text is None:
                speaking -= 1
            else:
                on_text(i, text)
    finally:
        stopped.set()
    if errors:
        raise errors[0]
    return [answers[i] for i in range(len(speakers))]
