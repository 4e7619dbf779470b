from pathlib import Path
from typing import Any

import pytest

from serin.clients.files import write_jsonl
from serin.core.conversation import Conversation, Message
from serin.core.errors import ConfigError, InputError
from serin.train.data.splits import read_split, refuse_leaks


def asked(id_: str, *turns: str, system: str | None = None, answer: str = "Six months.") -> Conversation:
    """A conversation with these questions, each with the same answer."""
    said = [m for turn in turns for m in (Message("user", turn), Message("assistant", answer))]
    return Conversation((*([Message("system", system)] if system else []), *said), {"id": id_})


TRAIN = [asked("t1", "How long may it last?"), asked("t2", "How long?", "And then?")]


@pytest.mark.parametrize(
    "held_out",
    [
        asked("t1", "Something else"),
        asked("h1", "How long may it last?", answer="One year."),
        asked("h1", " how  LONG may\nit last? "),
        asked("h1", "How long?", "And then?"),
    ],
    ids=["same id", "another answer", "other case and spaces", "every turn"],
)
def test_a_held_out_record_that_is_trained_on_is_refused_with_its_split(held_out: Conversation) -> None:
    with pytest.raises(ConfigError, match=rf"1 of 2 records of the test split .* such as {held_out.id}:"):
        refuse_leaks(TRAIN, {"validation": [], "test": [asked("h0", "Why?"), held_out]})


@pytest.mark.parametrize(
    "held_out",
    [
        asked("h1", "How long can it last?"),
        asked("h1", "And then?"),
        asked("h1", "How long may it last?", system="Answer as a lawyer."),
    ],
    ids=["another phrasing", "one turn of two", "another system prompt"],
)
def test_what_is_asked_otherwise_is_no_leak(held_out: Conversation) -> None:
    refuse_leaks(TRAIN, {"test": [held_out]})


def test_a_split_is_read_with_all_that_its_records_say(tmp_path: Path) -> None:
    tools = ({"type": "function", "function": {"name": "f"}},)
    turns = (Message("user", "?"), Message("assistant", "!", reasoning_content="Hm.", train=False))
    written = [Conversation(turns, {"id": "a", "language": "en"}, tools), asked("b", "Why?")]
    write_jsonl(tmp_path / "train.jsonl", [c.as_dict() for c in written])
    assert read_split(tmp_path, "train") == written


@pytest.mark.parametrize(
    "record", [{"messages": []}, {"messages": [{"role": "robot", "content": ""}], "meta": {"id": "a"}}]
)
def test_a_record_that_is_no_conversation_is_refused(tmp_path: Path, record: dict[str, Any]) -> None:
    write_jsonl(tmp_path / "train.jsonl", [record])
    with pytest.raises(InputError, match="not a conversation"):
        read_split(tmp_path, "train")
