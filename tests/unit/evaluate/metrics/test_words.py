import pytest

from serin.core.conversation import Conversation
from serin.evaluate.metrics.metric import Exchange
from serin.evaluate.metrics.words import ExactMatch, TokenF1
from serin.lm.generate import Answer


def exchange(answer: str, reference: str, language: str = "en") -> Exchange:
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": reference}]
    question = Conversation.from_dict({"messages": turns, "meta": {"id": "1", "language": language}})
    return Exchange(question, Answer(answer, 5, stopped=True))


def test_values_stand_in_the_order_of_the_questions() -> None:
    asked = [exchange("Six months!", "six months"), exchange("six", "six months"), exchange("六个月。", "六个月", "zh")]
    assert ExactMatch().score(asked).values == (1.0, 0.0, 1.0)
    assert TokenF1().score(asked).values == pytest.approx((1.0, 2 / 3, 1.0))
    assert ExactMatch().score([]).values == ()


def test_an_empty_answer_is_wrong() -> None:
    assert ExactMatch().value(exchange("", "six months")) == 0
    assert TokenF1().value(exchange("", "six months")) == 0


@pytest.mark.parametrize("reference", ["", "  ", "…"])
def test_where_there_is_no_reference_nothing_is_said(reference: str) -> None:
    assert ExactMatch().score([exchange("six", reference)]).values == (None,)
    assert TokenF1().score([exchange("six", reference)]).values == (None,)
