"""Pairs from a passage."""

import json

from serin.prepare.augment.questions import read_questions, request_questions


def pairs(*found: tuple[object, object]) -> str:
    return json.dumps([{"question": q, "answer": a} for q, a in found])


def test_the_prompt_holds_the_passage_and_binds_the_answer_to_it() -> None:
    request = request_questions("Shops open at {nine}.", 2, seed=5)
    text = request.messages[0]["content"]
    assert "Shops open at {nine}." in text
    assert "up to 2 questions" in text
    assert "Use only what the passage says" in text
    assert request.seed == 5


def test_whole_pairs_are_kept_each_question_once_and_no_more_than_wanted() -> None:
    answer = pairs(
        (" When? ", " At nine. "),
        ("when", "At ten."),
        ("Where?", " "),
        ("", "x"),
        ("Who?", None),
        (["Why?"], "x"),
        ("What?", "This."),
        ("Which?", "That."),
    )
    assert read_questions(answer, 2) == [("When?", "At nine."), ("What?", "This.")]
    assert read_questions("[]", 2) == []
