from typing import Any

import pytest

from serin.project.columns import guess_columns

ASKED = "How tight should the chain be?"
SAID = "About a centimetre of play."


def records(**columns: str) -> list[dict[str, Any]]:
    return [{name: f"{n} {text}" for name, text in columns.items()} for n in range(10)]


@pytest.mark.parametrize(
    ("columns", "user", "assistant"),
    [
        ({"My question": ASKED, "Their answer": SAID, "Notes": "seen in spring"}, "My question", "Their answer"),
        ({"User questions": ASKED, "Answers": SAID, "Notes": "seen in spring"}, "User questions", "Answers"),
        ({"replyText": SAID, "userQuery": ASKED, "summary": "of the case"}, "userQuery", "replyText"),
        ({"问题": "链条应该多紧？", "答案": "留出一厘米的余量。", "备注": "春天见过一次。"}, "问题", "答案"),
        ({"left": ASKED, "right": SAID}, "left", "right"),
        ({"left": SAID, "right": ASKED}, "right", "left"),
        ({"first": "tell me of chains", "second": SAID}, "first", "second"),
        ({"text": SAID, "question": "is it tight"}, "question", "text"),
        ({"answer": SAID, "text": "is it tight"}, "text", "answer"),
    ],
)  # fmt: skip
def test_question_and_answer_are_found_by_name_or_content(columns: dict[str, str], user: str, assistant: str) -> None:
    assert guess_columns(records(**columns)) == {"user": user, "assistant": assistant}


@pytest.mark.parametrize(
    "columns",
    [
        {"text": ASKED},
        {"one": ASKED, "two": SAID, "three": "third text of many"},
        {"question": ASKED, "old question": ASKED, "text": SAID, "other": SAID},
    ],
)
def test_what_two_columns_do_not_tell_is_not_guessed(columns: dict[str, str]) -> None:
    assert guess_columns(records(**columns)) is None


def test_labels_and_numbers_are_no_text() -> None:
    rows = [{"id": f"k{n}", "ask": ASKED, "label": "fix", "count": n, "say": SAID} for n in range(10)]
    assert guess_columns(rows) == {"user": "ask", "assistant": "say"}


def test_nested_columns_have_dotted_paths() -> None:
    rows = [{"q": {"body": ASKED}, "a": {"body": SAID}} for _ in range(4)]
    assert guess_columns(rows) == {"user": "q.body", "assistant": "a.body"}


def test_system_and_language_are_taken_along() -> None:
    rows = [{"question": ASKED, "answer": SAID, "system prompt": "Be brief.", "lang": "en"} for _ in range(4)]
    assert guess_columns(rows) == {
        "user": "question",
        "assistant": "answer",
        "system": "system prompt",
        "language": "lang",
    }


def test_a_language_column_without_codes_is_left_alone() -> None:
    rows = [{"question": ASKED, "answer": SAID, "language": "English"} for _ in range(4)]
    assert guess_columns(rows) == {"user": "question", "assistant": "answer"}
