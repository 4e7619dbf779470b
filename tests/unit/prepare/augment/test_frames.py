"""Variants by rule: other words around the same question."""

import re

import pytest

from serin.prepare.augment.frames import FrameLanguage, choose_frames, frames_for
from serin.prepare.record.shingles import normalised, shingles, similarity

QUESTIONS: dict[FrameLanguage, list[str]] = {
    "en": [
        "What about wages?",
        "How long may a probation period last?",
        "ten years same employer contract without fixed end",
        "Can the company dismiss me while I am on sick leave, and does it have to pay me anything if it does so?",
        "My employer moved the factory to another province and says that whoever does not come along has resigned. I have "
        "worked here for nine years and have a child at school. Is it true that I get nothing at all if I stay?",
    ],
    "zh": [
        "年假几天？",
        "试用期最长多久？",
        "满十年 起始时间 用工之日",
        "公司搬到外省去了，说不跟着去的就算自己辞职，我在这里干了九年，是不是真的什么补偿都拿不到？",
    ],
}
CASES = [(language, question) for language, questions in QUESTIONS.items() for question in questions]


def variants(question: str, language: FrameLanguage, count: int, seed: int = 3, record: str = "r") -> list[str]:
    frames = choose_frames(frames_for(question, language, len(question)), count, seed, record)
    return [frame.around(question, language) for frame in frames]


def alike(one: str, other: str) -> float:
    return similarity(shingles(normalised(one)), shingles(normalised(other)))


@pytest.mark.parametrize(("language", "question"), CASES)
def test_no_variant_is_a_near_duplicate_of_its_parent_or_of_another_one(language: FrameLanguage, question: str) -> None:
    for seed in range(20):
        made = [question, *variants(question, language, 5, seed)]
        assert len(made) >= 4
        assert all(question in text for text in made)
        assert all(alike(a, b) < 0.8 for i, a in enumerate(made) for b in made[:i])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_two_questions_in_the_same_frame_stay_apart(language: FrameLanguage) -> None:
    one, other = {
        "en": ("How long is my notice period?", "How long is my probation?"),
        "zh": ("试用期工资怎么算？", "试用期社保怎么交？"),
    }[language]
    frames = frames_for(one, language, len(one))
    assert frames
    assert all(alike(frame.around(one, language), frame.around(other, language)) < 0.8 for frame in frames)


def test_the_frame_depends_on_seed_and_record_alone() -> None:
    question = QUESTIONS["en"][1]
    assert variants(question, "en", 3) == variants(question, "en", 3)
    assert len({variants(question, "en", 1, seed=seed)[0] for seed in range(30)}) > 5
    assert len({variants(question, "en", 1, record=str(record))[0] for record in range(30)}) > 5
    assert variants(question, "en", 5)[:2] == variants(question, "en", 2), "more variants keep the first ones"


def test_a_task_is_not_introduced_as_a_question() -> None:
    task = "Translate the following sentence into French: good morning."
    question = "How do I translate this sentence into French: good morning?"
    introduces = re.compile("question|would like to know|asked me|answer it|answer to this|did not know what to say")
    assert not any(introduces.search(frame.before) for frame in frames_for(task, "en", len(task)))
    assert any(introduces.search(frame.before) for frame in frames_for(question, "en", len(question)))


def test_several_lines_and_open_ends_keep_what_follows_apart() -> None:
    code = "Why does this fail?\n```\nprint(1)\n```"
    texts = [frame.around(code, "en") for frame in frames_for(code, "en", len(code))]
    assert all(f"\n{code}" in text or text.startswith(code) for text in texts)
    assert all(f"{code}\n" in text or text.endswith(code) for text in texts)
    keywords = QUESTIONS["zh"][2]
    assert all(
        text.endswith(keywords) or f"{keywords}\n" in text
        for text in (frame.around(keywords, "zh") for frame in frames_for(keywords, "zh", len(keywords)))
    )


def test_where_no_natural_frame_would_make_a_difference_there_is_none() -> None:
    assert frames_for("Is it so? " * 200, "en", 2000) == []
    assert frames_for("And then?", "en", 3000) == [], "the other turns of the conversation would stay the same"


@pytest.mark.parametrize(("language", "question"), CASES)
def test_no_frame_brings_a_number_in(language: FrameLanguage, question: str) -> None:
    for frame in frames_for(question, language, len(question)):
        assert not re.search("[0-9〇零一二两三四五六七八九十百千万]", frame.before + frame.after)
