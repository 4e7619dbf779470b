import json

import pytest

from serin.core.conversation import Message
from serin.core.errors import ConfigError
from serin.lm.served import messages_as_served, tools_as_served


def test_a_call_is_the_same_whether_its_arguments_were_an_object_or_json_in_a_string() -> None:
    given = ({"article": 19}, '{"article": 19}')
    calls = [({"type": "function", "id": "c1", "function": {"name": "look_up", "arguments": a}},) for a in given]
    served = [json.dumps(messages_as_served([Message("assistant", "", tool_calls=call)])) for call in calls]
    assert served[0] == served[1]
    assert (
        '{"id": "c1", "function": {"arguments": {"article": 19}, "name": "look_up"}, "type": "function"}' in served[0]
    )


@pytest.mark.parametrize("arguments", [None, "", {}])
def test_a_call_without_arguments_has_empty_ones(arguments: object) -> None:
    (turn,) = messages_as_served(
        [Message("assistant", "", tool_calls=({"function": {"name": "f", "arguments": arguments}},))]
    )
    assert turn["tool_calls"] == [{"function": {"arguments": {}, "name": "f"}, "type": "function"}]


@pytest.mark.parametrize("arguments", ["{", "[1]", 7])
def test_arguments_that_are_no_object_are_refused(arguments: object) -> None:
    call = {"function": {"name": "look_up", "arguments": arguments}}
    with pytest.raises(ConfigError, match=r"'look_up' has the arguments .*expected a JSON object"):
        messages_as_served([Message("assistant", "", tool_calls=(call,))])


def test_a_thought_has_both_names_that_templates_read() -> None:
    (turn,) = messages_as_served([Message("assistant", "Six.", reasoning_content="Article 19.")])
    assert (turn["reasoning"], turn["reasoning_content"]) == ("Article 19.", "Article 19.")


def test_tools_are_in_the_order_of_the_api_and_hold_what_the_api_knows() -> None:
    schema = {"type": "object", "x": 1, "properties": {"b": {}, "a": {}}}
    tools = tools_as_served(
        ({"function": {"parameters": schema, "name": "f", "version": 2}, "type": "function", "more": 1},)
    )
    parameters = '{"type": "object", "x": 1, "properties": {"b": {}, "a": {}}}'
    assert json.dumps(tools) == (
        f'[{{"type": "function", "function": {{"name": "f", "description": null, "parameters": {parameters}}}}}]'
    )


def test_a_bare_function_is_a_tool() -> None:
    bare = {"name": "f", "description": "d", "parameters": {}, "strict": True}
    assert tools_as_served((bare,)) == tools_as_served(({"type": "function", "function": bare},))
    assert tools_as_served(()) is None


def test_a_tool_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="a tool has no name"):
        tools_as_served(({"type": "function", "function": {"parameters": {}}},))
