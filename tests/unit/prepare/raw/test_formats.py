"""Every format that people keep is told by its fields and read into the same turns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.core.params import SourceParams
from serin.prepare.raw.formats import RawTurn, format_of, parse

SOURCE = SourceParams(path="a.jsonl")
TURNS = (RawTurn("user", "How long?"), RawTurn("assistant", "Two months."))
WITH_SYSTEM = (RawTurn("system", "Be kind."), *TURNS)
CALL = {"type": "function", "function": {"name": "look", "arguments": {"n": 1}}}


USER, ASSISTANT = {"role": "user", "content": "How long?"}, {"role": "assistant", "content": "Two months."}
PARTS = {"role": "assistant", "content": [{"type": "text", "text": "Two months."}]}
SHARED = [{"from": "human", "value": "How long?"}, {"from": "gpt", "value": "Two months."}]


@pytest.mark.parametrize(
    ("value", "kind", "turns"),
    [
        ({"messages": [USER, ASSISTANT]}, "messages", TURNS),
        ({"messages": [{"role": "developer", "content": "Be kind."}, USER, PARTS]}, "messages", WITH_SYSTEM),
        ({"conversations": [USER, ASSISTANT]}, "conversations", TURNS),
        ({"conversations": SHARED, "system": "Be kind."}, "sharegpt", WITH_SYSTEM),
        (
            {"instruction": "How", "input": "long?", "output": "Two months."},
            "alpaca",
            (RawTurn("user", "How\nlong?"), TURNS[1]),
        ),
        (
            {"instruction": "How long?", "input": "", "output": "Two months.", "system": "Be kind."},
            "alpaca",
            WITH_SYSTEM,
        ),
        (
            {"instruction": "And then?", "output": "Nothing.", "history": [["How long?", "Two months."]]},
            "alpaca",
            (*TURNS, RawTurn("user", "And then?"), RawTurn("assistant", "Nothing.")),
        ),
        ({"prompt": "How long?", "completion": "Two months."}, "prompt_completion", TURNS),
        ({"prompt": [USER], "completion": [ASSISTANT]}, "prompt_completion", TURNS),
        ({"question": "How long?", "answer": "Two months."}, "question_answer", TURNS),
        (
            {"question": "How many?", "answer": 2},
            "question_answer",
            (RawTurn("user", "How many?"), RawTurn("assistant", "2")),
        ),
    ],
)
def test_a_record_is_told_by_its_fields(value: dict[str, Any], kind: Any, turns: tuple[RawTurn, ...]) -> None:
    assert format_of(value) == kind
    parsed = parse(value, SOURCE, kind)
    assert parsed is not None
    assert parsed.turns == turns


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, {"text": "plain"}, {"messages": "none"}])
def test_what_has_no_known_fields_has_no_format(value: Any) -> None:
    assert format_of(value) is None
    assert parse(value, SOURCE, "messages") is None


@pytest.mark.parametrize(
    "turns",
    [
        ["text"],
        [{"content": "no role"}],
        [{"role": 3, "content": "x"}],
        [{"role": "user", "content": {"a": 1}}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
        [{"role": "assistant", "content": "", "tool_calls": [{"function": {"arguments": "{}"}}]}],
        [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{broken"}}]}],
        [{"role": "assistant", "content": "", "tool_calls": "call"}],
    ],
)
def test_a_turn_that_the_format_does_not_allow_makes_the_record_unreadable(turns: list[Any]) -> None:
    assert parse({"messages": turns}, SOURCE, "messages") is None


def test_tools_calls_reasoning_and_untrained_turns_are_kept() -> None:
    value = {
        "messages": [
            {"role": "user", "content": "How long?"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "I look.",
                "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": '{"n": 1}'}}],
                "train": False,
            },
            {"role": "tool", "content": 42, "tool_call_id": "c1", "name": "look"},
            {"role": "assistant", "content": "Two months."},
        ],
        "tools": '[{"type": "function", "function": {"name": "look"}}]',
    }
    parsed = parse(value, SOURCE, "messages")
    assert parsed is not None
    assert parsed.turns[1] == RawTurn(
        "assistant", "", {"reasoning_content": "I look.", "tool_calls": ({"id": "c1", **CALL},), "train": False}
    )
    assert parsed.turns[2] == RawTurn("tool", "42", {"tool_call_id": "c1", "name": "look"})
    assert parsed.tools == ({"type": "function", "function": {"name": "look"}},)


def test_columns_are_read_by_their_mapping_also_from_inside() -> None:
    source = SourceParams(
        path="a", format="columns", columns={"user": "q.text", "assistant": "a", "system": "s", "group": "topic"}
    )
    value = {"q": {"text": "How long?"}, "a": "Two months.", "s": "Be kind.", "topic": "trial", "year": 2012, "x": None}
    parsed = parse(value, source, "columns")
    assert parsed is not None
    assert parsed.turns == WITH_SYSTEM
    assert parsed.meta == {"group": "trial", "year": 2012}
    assert parse({"other": 1}, source, "columns") is None


def test_what_stands_beside_the_turns_is_kept_as_meta_also_where_serin_put_it() -> None:
    value = {
        "question": "a",
        "answer": "b",
        "fact": "f1",
        "n": 3,
        "list": [1],
        "meta": {"id": "x", "deep": {}, "augmented": {"by": "rules"}},
    }
    parsed = parse(value, SOURCE, "question_answer")
    assert parsed is not None
    assert parsed.meta == {"fact": "f1", "n": 3, "id": "x", "augmented": {"by": "rules"}}


FIELDS = (
    *(
        "messages",
        "role",
        "content",
        "from",
        "value",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "instruction",
        "input",
    ),
    *("output", "history", "prompt", "completion", "question", "answer", "tools", "meta"),
)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_value_is_parsed_or_not_and_never_raises(value: Any) -> None:
    kind = format_of(value)
    if kind is not None:
        parsed = parse(value, SOURCE, kind)
        assert parsed is None or all(isinstance(turn.content, str) for turn in parsed.turns)
