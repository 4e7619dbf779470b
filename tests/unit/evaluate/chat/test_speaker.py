import threading

import pytest

from serin.core.conversation import Message
from serin.core.errors import ConfigError
from serin.evaluate.chat.speaker import speak_together

from .speakers import Echo

HI = (Message("user", "a b c d e f"),)


def test_all_speak_at_once_and_are_told_apart() -> None:
    heard: list[tuple[int, str]] = []
    answers = speak_together([Echo("one", 0.02), Echo("two", 0.02)], [HI, HI], lambda i, text: heard.append((i, text)))
    assert answers == ["one 1 a b c d e f", "two 1 a b c d e f"]
    for i in (0, 1):
        assert "".join(text for of, text in heard if of == i).strip() == answers[i]
    order = [i for i, _ in heard]
    assert order != sorted(order)
    assert order != sorted(order, reverse=True)


def test_pieces_are_heard_in_the_thread_that_asked() -> None:
    threads: set[threading.Thread] = set()
    speak_together([Echo()], [HI], lambda *_: threads.add(threading.current_thread()))
    assert threads == {threading.current_thread()}


def test_one_that_fails_stops_the_others() -> None:
    slow = Echo("slow", 0.05)
    with pytest.raises(ConfigError, match="refused"):
        speak_together([slow, Echo(fails=ConfigError("refused"))], [HI, (Message("user", "fail"),)], lambda *_: None)
    slow.stopped.wait(5)
    assert slow.stopped.is_set()


def test_who_no_longer_listens_stops_them() -> None:
    slow = Echo("slow", 0.02)

    def stop(_: int, text: str) -> None:
        if text == "b ":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        speak_together([slow], [HI], stop)
    slow.stopped.wait(5)
    assert slow.stopped.is_set()
