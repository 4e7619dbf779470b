"""Which proposals of a model may stand for the question."""

import json

import pytest

from serin.prepare.augment.paraphrases import read_paraphrases, request_paraphrases

QUESTION = "May I be dismissed after 10 years with 1,500 yuan?"


def test_the_prompt_holds_the_question_and_how_many_are_wanted() -> None:
    request = request_paraphrases(QUESTION, 3, seed=7)
    text = request.messages[0]["content"]
    assert QUESTION in text
    assert "JSON array of 3 strings" in text
    assert request.seed == 7
    assert request.max_tokens > 3 * len(QUESTION), "the answer would be cut off"
    assert request != request_paraphrases(QUESTION, 3, seed=8)
    assert "{braces}" in request_paraphrases("What are {braces}?", 1, seed=0).messages[0]["content"]


@pytest.mark.parametrize(
    ("proposal", "is_kept"),
    [
        ("Can they fire me after 10 years for 1,500 yuan?", True),
        ("Can they fire me after 10 years for 1500 yuan?", True),
        ("Can they fire me after １０ years for 1500 yuan?", True),
        ("Can they fire me after ten years for 1,500 yuan?", False),
        ("Can they fire me after 10 years?", False),
        ("Can they fire me after 10 years for 1,500 yuan and 2 days?", False),
        ("may I be dismissed after 10 years, with 1,500 yuan", False),
        ("", False),
    ],
)
def test_numbers_are_kept_and_the_wording_is_new(proposal: str, is_kept: bool) -> None:
    assert read_paraphrases(json.dumps([proposal]), QUESTION, 3) == ([proposal] if is_kept else [])


def test_placeholders_of_personal_data_are_kept() -> None:
    question = "May I write to [EMAIL]?"
    answer = json.dumps(["Is [EMAIL] the address?", "Is bob@example.com the address?", "Is [PHONE] it?"])
    assert read_paraphrases(answer, question, 3) == ["Is [EMAIL] the address?"]


def test_no_paraphrase_twice_and_no_more_than_wanted() -> None:
    answer = json.dumps(["One way?", "one way", " Another way? ", "A third?", "A fourth?"])
    assert read_paraphrases(answer, "A question?", 3) == ["One way?", "Another way?", "A third?"]


def test_a_list_instead_of_json_is_read_too() -> None:
    assert read_paraphrases("1. 一年后能休息吗？\n2. 能休假么？", "可以休假吗？", 2) == [
        "一年后能休息吗？",
        "能休假么？",
    ]
