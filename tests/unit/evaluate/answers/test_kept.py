"""Answers are kept as they come: nobody is asked twice, and a killed evaluation goes on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from serin.core.conversation import Conversation, Message
from serin.evaluate.answers.kept import KeptAnswers
from serin.lm.generate import Answer
from serin.lm.score import Likelihood

QUESTIONS = [Conversation((Message("user", f"q{i}"), Message("assistant", f"a{i}")), {"id": str(i)}) for i in range(5)]


class Echo:
    """A model that repeats the question, and remembers what it was asked."""

    def __init__(self, dies_after: int = 99, max_new_tokens: int = 8) -> None:
        self.asked: list[str] = []
        self.scored: list[str] = []
        self.dies_after = dies_after
        self.max_new_tokens = max_new_tokens

    @property
    def identity(self) -> dict[str, str | int]:
        return {"model": "echo", "max_new_tokens": self.max_new_tokens}

    def answers(self, questions: Sequence[Conversation]) -> Iterator[tuple[int, Answer]]:
        for i in reversed(range(len(questions))):
            if len(self.asked) == self.dies_after:
                raise KeyboardInterrupt
            text = questions[i].prompt[-1].content
            self.asked.append(text)
            yield i, Answer(text, 1, stopped=True)

    def likelihoods(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Likelihood]]:
        for i, conversation in enumerate(conversations):
            self.scored.append(conversation.reference)
            yield i, Likelihood(float(i), 2)

    def close(self) -> None:
        """Holds nothing."""


def silent(_: int) -> None:
    """No progress wanted."""


def test_answers_come_in_the_order_of_the_questions_and_are_asked_for_once(tmp_path: Path) -> None:
    first, second = Echo(), Echo()
    heard: list[int] = []
    answers = KeptAnswers(tmp_path, first).answers(QUESTIONS, heard.append)
    assert [a.text for a in answers] == ["q0", "q1", "q2", "q3", "q4"]
    assert heard[-1] == 5
    assert sorted(heard) == heard
    assert KeptAnswers(tmp_path, second).answers([QUESTIONS[3], QUESTIONS[0]], silent) == [answers[3], answers[0]]
    assert second.asked == []


def test_after_a_kill_only_what_is_missing_is_asked(tmp_path: Path) -> None:
    killed, again = Echo(dies_after=3), Echo()
    with pytest.raises(KeyboardInterrupt):
        KeptAnswers(tmp_path, killed).answers(QUESTIONS, silent)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-7])  # the last line was under way
    assert [a.text for a in KeptAnswers(tmp_path, again).answers(QUESTIONS, silent)] == ["q0", "q1", "q2", "q3", "q4"]
    assert sorted(again.asked + killed.asked[:2]) == ["q0", "q1", "q2", "q3", "q4"]
    third = Echo()
    KeptAnswers(tmp_path, third).answers(QUESTIONS, silent)
    assert third.asked == []


def test_other_settings_are_other_answers(tmp_path: Path) -> None:
    KeptAnswers(tmp_path, Echo()).answers(QUESTIONS, silent)
    longer = Echo(max_new_tokens=9)
    KeptAnswers(tmp_path, longer).answers(QUESTIONS, silent)
    assert len(longer.asked) == 5


def test_the_same_question_twice_is_asked_once(tmp_path: Path) -> None:
    echo = Echo()
    assert len(KeptAnswers(tmp_path, echo).answers([*QUESTIONS, *QUESTIONS], silent)) == 10
    assert len(echo.asked) == 5


def test_likelihoods_are_those_of_question_and_reference(tmp_path: Path) -> None:
    without = Conversation((Message("user", "q"),), {"id": "x"})
    first, second = Echo(), Echo()
    found = KeptAnswers(tmp_path, first).likelihoods([QUESTIONS[0], without, QUESTIONS[1]])
    assert found == [Likelihood(0.0, 2), None, Likelihood(1.0, 2)]
    other = Conversation((Message("user", "q0"), Message("assistant", "another")), {"id": "0"})
    KeptAnswers(tmp_path, second).likelihoods([QUESTIONS[0], other])
    assert second.scored == ["another"]
