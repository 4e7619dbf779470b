import pytest

from serin.core.conversation import Conversation, Message, faults_of_turns
from serin.core.errors import InputError

USER, ASSISTANT, SYSTEM = (
    Message("user", "How long?"),
    Message("assistant", "Two months."),
    Message("system", "Be kind."),
)


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        ([USER, ASSISTANT], None),
        ([SYSTEM, USER, ASSISTANT, USER, ASSISTANT], None),
        ([ASSISTANT, USER], "role_order"),
        ([USER, USER, ASSISTANT], "role_order"),
        ([USER], "role_order"),
        ([], "role_order"),
        ([USER, Message("assistant", "  ")], "empty_turn"),
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


@pytest.mark.parametrize(
    "record", [{}, {"messages": [], "meta": {}}, {"messages": [{"role": "bot", "content": ""}], "meta": {"id": 1}}]
)
def test_what_is_no_record_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(InputError, match="not a conversation"):
        Conversation.from_dict(record)
