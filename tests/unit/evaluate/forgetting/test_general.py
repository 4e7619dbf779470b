"""The general questions that come with Serin, and what of them a model was trained on."""

from collections import Counter
from pathlib import Path

import pytest

from serin.core.conversation import Conversation, Message
from serin.core.errors import InputError
from serin.evaluate.compare.slices import SMALLEST
from serin.evaluate.forgetting.general import load_general, without_trained


def test_the_shipped_questions_cover_topics_in_two_languages_and_have_short_answers() -> None:
    questions = load_general(["serin"])
    assert len(questions) == 104
    assert Counter(question.language for question in questions) == {"en": 52, "zh": 52}
    assert min(Counter(str(question.meta["topic"]) for question in questions).values()) >= SMALLEST
    assert len({question.user_text for question in questions}) == len(questions)
    assert all(0 < len(question.reference) <= 80 for question in questions)


def test_they_ask_nothing_that_the_example_teaches() -> None:
    raw = "".join(path.read_text(encoding="utf-8") for path in Path("examples/labour-law/raw").iterdir())
    assert [question.id for question in load_general(["serin"]) if question.user_text in raw] == []


def test_a_question_needs_an_answer(tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text('{"messages": [{"role": "user", "content": "Hm?"}], "meta": {"id": "1"}}')
    with pytest.raises(InputError, match=r"own\.jsonl:1 has no answer"):
        load_general([str(own)])


def asked(name: str, text: str) -> Conversation:
    return Conversation((Message("user", text), Message("assistant", "Yes.")), {"id": name})


def test_what_was_trained_on_is_left_out_and_named() -> None:
    questions = [asked("a", "What is 7 plus 5?"), asked("b", "中国的首都是哪里？"), asked("c", "Hello!")]
    train = [asked("1", "what is  ７ plus 5"), asked("2", "中国的首都是哪里"), asked("3", "Hello, who are you?")]
    kept, trained = without_trained(questions, iter(train))
    assert ([question.id for question in kept], trained) == (["c"], ["a", "b"])
    assert without_trained(questions, []) == (questions, [])
