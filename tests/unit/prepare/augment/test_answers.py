"""Models' answers, as models write them."""

import pytest

from serin.prepare.augment.answers import objects_in, strings_in

PAIR = frozenset({"question", "answer"})


@pytest.mark.parametrize(
    ("answer", "strings"),
    [
        ('["a", "b"]', ["a", "b"]),
        ('```json\n["a", "b"]\n```\nI hope this helps!', ["a", "b"]),
        ('Here are [2] of them: ["a", "b"] [1]', ["a", "b"]),
        ('{"paraphrases": ["a", "b"]}', ["a", "b"]),
        ('["a", "b", "c is cut o', ["a", "b"]),
        ('["a", "b",]', ["a", "b"]),
        ('["a"，"b"]', ["a", "b"]),
        ('["a", 7, null, {"b": 1}, ["c"], "d"]', ["a", "d"]),
        ('["one\nline", "two"]', ["one\nline", "two"]),
        ("1. First\n2) \"Second\"\n3、“第三”\n", ["First", "Second", "第三"]),
        ("Sure:\n\n- first\n* second\n• third", ["first", "second", "third"]),
        ("I cannot do that.", []),
        ("", []),
        ("[" * 100_000, []),
        ("[1," * 2000, []),
        ('[["a", "b"]]', ["a", "b"]),
    ],
)  # fmt: skip
@pytest.mark.timeout(20)  # also what nests without end is read in no time
def test_strings(answer: str, strings: list[str]) -> None:
    assert strings_in(answer) == strings


@pytest.mark.parametrize(
    ("answer", "questions"),
    [
        ('[{"question": "a", "answer": "1"}, {"question": "b", "answer": "2"}]', ["a", "b"]),
        ('```json\n[{"question": "a", "answer": "1"}]\n``` Done {"x": 1}.', ["a"]),
        ('{"items": [{"question": "a", "answer": "1"}, {"question": "b"}]}', ["a"]),
        ('{"question": "a", "answer": "1"}\n{"question": "b", "answer": "2", "why": {}}', ["a", "b"]),
        ('[{"question": "a", "answer": "1"}, {"question": "b", "ans', ["a"]),
        ('[{"question": "a", "answer": "1"}, {"question: oops}, {"question": "c", "answer": "3"}]', ["a", "c"]),
        ('["question", "answer"]', []),
        ('{"a":' * 2000, []),
        ('{"a": {"question": "a", "answer": {"question": "b", "answer": "2"}}}', ["a"]),
    ],
)
def test_objects(answer: str, questions: list[str]) -> None:
    assert [found["question"] for found in objects_in(answer, PAIR)] == questions
