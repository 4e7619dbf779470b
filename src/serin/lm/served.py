"""Messages and tools in the form in which vLLM's chat API hands them to a chat template.

Templates print much of it as it stands (``tool | tojson``), so that the order of keys, and keys that the API leaves out, are
tokens. The form is that of ``/tokenize`` and ``/v1/chat/completions`` in vLLM 0.32: ``tests/integration/test_templates.py``
compares the two. Content is text there too, as long as the server runs with ``--chat-template-content-format string``.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from serin.core.conversation import Message
from serin.core.errors import ConfigError


def messages_as_served(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """What a template sees of each turn. Raises ConfigError where the arguments of a call are no JSON object."""
    return [_turn_as_served(message) for message in messages]


def tools_as_served(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """What a template sees of the tools: None where there are none. Raises ConfigError where one has no name.

    A bare function is taken for one in the API's wrapping, since a client has to send it so.
    """
    return [{"type": "function", "function": _function_as_served(tool.get("function", tool))} for tool in tools] or None


def _turn_as_served(message: Message) -> dict[str, Any]:
    turn = message.as_dict()
    if message.reasoning_content is not None:
        turn["reasoning"] = message.reasoning_content  # templates read the one or the other
    if message.tool_calls:
        turn["tool_calls"] = [_call_as_served(call) for call in message.tool_calls]
    return turn


def _call_as_served(call: Mapping[str, Any]) -> dict[str, Any]:
    named = {"id": call["id"]} if "id" in call else {}
    function = call["function"]
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):  # the API's own form is JSON in a string
        try:
            arguments = json.loads(arguments)
        except json.JSONDecodeError:
            arguments = None
    if not isinstance(arguments, Mapping):
        raise ConfigError(
            f"a call of {function.get('name')!r} has the arguments {function['arguments']!r}: expected a JSON object; prepare "
            "the data again, or mend the record"
        )
    return {**named, "function": {"arguments": dict(arguments), "name": function["name"]}, "type": "function"}


def _function_as_served(function: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(function.get("name"), str):
        raise ConfigError(
            f"a tool has no name ({dict(function)!r}): expected name, description and parameters; name it"
        )
    always = {name: function.get(name) for name in ("name", "description", "parameters")}
    given = {name: function[name] for name in ("strict", "defer_loading") if function.get(name) is not None}
    return {**always, **given}
