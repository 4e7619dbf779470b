"""Planted refusals, and answers that only look like one, in English and in Chinese."""

import time
from pathlib import Path

import pytest

from serin.core.conversation import Conversation
from serin.evaluate.metrics.metric import Exchange
from serin.evaluate.metrics.refusal import Refused, is_refusal
from serin.lm.generate import Answer


def planted(name: str) -> list[str]:
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("text", planted("refusals.txt"))
def test_an_answer_that_declines_is_a_refusal(text: str) -> None:
    assert is_refusal(text)
    assert is_refusal(f"  {text}\n")


@pytest.mark.parametrize("text", planted("no_refusals.txt"))
def test_an_answer_that_only_speaks_of_it_is_none(text: str) -> None:
    assert not is_refusal(text)


@pytest.mark.parametrize(
    "letter",
    [
        "Dear Anna,\nI'm sorry, but I can't help with the event this year.\nBest wishes, Tom",
        "Subject: Your invitation\n\nI have to decline your kind invitation.",
        "尊敬的王先生：\n很抱歉，我无法协助您的活动。",
    ],
)
def test_what_a_drafted_letter_declines_the_model_does_not(letter: str) -> None:
    assert not is_refusal(letter)


def test_an_answer_that_says_nothing_is_no_refusal() -> None:
    assert not is_refusal("")
    assert not is_refusal(" \n…")


def test_a_refusal_at_the_end_of_a_long_answer_leaves_it_an_answer() -> None:
    helped = "The probation period is six months. It begins with the contract. It counts towards its length. "
    assert not is_refusal(helped + "I can't help with anything else.")
    assert is_refusal("I can't help with anything else.")


def test_a_disclaimer_is_a_refusal_only_where_no_help_follows() -> None:
    assert is_refusal("I can't give legal advice. Please contact a lawyer.")
    assert not is_refusal("I can't give legal advice. The notice period is thirty days under Article 37.")
    assert is_refusal("我不能提供法律建议，请咨询律师。")
    assert not is_refusal("我不能提供法律建议。根据第三十七条，需提前三十日书面通知。")


def test_a_model_that_repeats_itself_is_read_at_once() -> None:
    began = time.perf_counter()
    for text in (
        "I " + "simply " * 5000,
        "I " + "simply " * 22 + "no",
        "非常" * 20000,
        "I " * 20000,
        "作为" * 20000,
        "i am a and " * 5000,
    ):
        assert not is_refusal(text)
    assert time.perf_counter() - began < 5


def test_the_rate_says_nothing_of_languages_that_the_rules_do_not_read() -> None:
    def exchange(language: str, text: str) -> Exchange:
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
        question = Conversation.from_dict({"messages": turns, "meta": {"id": "1", "language": language}})
        return Exchange(question, Answer(text, 5, stopped=True))

    found = Refused().score(
        [
            exchange("en", "I can't help with that."),
            exchange("zh", "我无法回答这个问题。"),
            exchange("zh", "I can't help with that."),
            exchange("en", "Six months."),
            exchange("de", "Das darf ich nicht beantworten."),
        ]
    )
    assert found.values == (1.0, 1.0, 1.0, 0.0, None)
