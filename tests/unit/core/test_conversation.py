import pytest

from serin.core.conversation import Conversation, Message, faults_of_turns
from serin.core.errors import InputError

USER, ASSISTANT, SYSTEM = (
    Message("user", "How long?"),
    Message("assistant", "Two months."),
    Message("system", "Be kind."),
)
CALL = Message("assistant", "", tool_calls=({"type": "function", "function": {"name": "look", "arguments": {"n": 1}}},))
TOOL = Message("tool", "42", tool_call_id="c1", name="look")


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ([USER, ASSISTANT], None),
        ([SYSTEM, USER, ASSISTANT, USER, ASSISTANT], None),
        ([ASSISTANT, USER], "role_order"),
        ([USER, USER, ASSISTANT], "role_order"),
        ([USER], "role_order"),
        ([], "role_order"),
        ([USER, Message("assistant", "  ")], "empty_answer"),
        ([Message("user", " "), ASSISTANT], "empty_turn"),
        ([USER, CALL, TOOL, TOOL, ASSISTANT], None),
        ([USER, CALL, ASSISTANT], "role_order"),
        ([USER, TOOL, ASSISTANT], "role_order"),
        ([USER, ASSISTANT, TOOL, ASSISTANT], "role_order"),
        ([USER, CALL], None),
        ([USER, SYSTEM, ASSISTANT], "role_order"),
        ([USER, Message("assistant", "Two months.", train=False)], "nothing_to_train"),
    ],
)
def test_only_whole_exchanges_are_let_through(turns: list[Message], fault: str | None) -> None:
    assert faults_of_turns(turns) == fault


def test_a_record_is_read_back_as_it_was_written() -> None:
    record = Conversation((SYSTEM, USER, ASSISTANT), {"id": "a1", "language": "en"})
    assert Conversation.from_dict(record.as_dict()) == record
    assert record.prompt == (SYSTEM, USER)
    assert record.reference == "Two months."
    assert record.user_text == "How long?"


def test_tools_reasoning_and_untrained_turns_are_read_back_and_train_is_not_shown_to_models() -> None:
    context = Message("assistant", "Hm.", reasoning_content="Let me think.", train=False)
    record = Conversation((USER, context, USER, CALL, TOOL, ASSISTANT), {"id": "a1"}, ({"type": "function"},))
    assert Conversation.from_dict(record.as_dict()) == record
    assert [m["role"] for m in record.as_dict()["messages"] if m.get("train") is False] == ["assistant"]
    assert "train" not in context.as_dict()


@pytest.mark.parametrize(
    "record", [{}, {"messages": [], "meta": {}}, {"messages": [{"role": "bot", "content": ""}], "meta": {"id": 1}}]
)
def test_what_is_no_record_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(InputError, match="not a conversation"):
        Conversation.from_dict(record)
