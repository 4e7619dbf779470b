from serin.core.conversation import Conversation
from serin.evaluate.metrics.length import AnswerCharacters, AnswerTokens, LengthRatio, Stopped
from serin.evaluate.metrics.metric import Exchange
from serin.lm.generate import Answer


def exchange(answer: Answer, reference: str) -> Exchange:
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": reference}]
    return Exchange(Conversation.from_dict({"messages": turns, "meta": {"id": "1"}}), answer)


ASKED = [
    exchange(Answer("六个月", 5, stopped=True), "最长六个月。"),
    exchange(Answer("", 0, stopped=False), "six"),
    exchange(Answer("six", 1, stopped=True), ""),
]


def test_lengths_are_the_answers() -> None:
    assert AnswerTokens().score(ASKED).values == (5.0, 0.0, 1.0)
    assert AnswerCharacters().score(ASKED).values == (3.0, 0.0, 3.0)


def test_the_ratio_needs_a_reference() -> None:
    assert LengthRatio().score(ASKED).values == (0.5, 0.0, None)


def test_an_answer_that_was_cut_short_has_not_stopped() -> None:
    assert Stopped().score(ASKED).values == (1.0, 0.0, 1.0)
