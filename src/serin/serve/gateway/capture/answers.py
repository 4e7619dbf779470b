"""What was asked and what was answered, as values: read from the bytes that went through the gateway."""

from collections.abc import Mapping
from typing import Any

import orjson

from serin.core.errors import InputError

PATHS = ("/v1/chat/completions", "/v1/completions")
"""What is captured: conversations, not embeddings or scores."""
_ASKED = (
    "messages",
    "prompt",
    "tools",
    "tool_choice",
    "response_format",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "n",
    "stream",
)
"""Members of a request that are kept. Others may name the user (``user``, ``metadata``), and teach nothing."""
_THOUGHTS = ("reasoning_content", "reasoning")
_DONE = b"[DONE]"
_CUT = (None, "length", "abort")
"""Why choices end that are not whole."""


def asked(body: bytes) -> dict[str, Any]:
    """The request, without what is no text. Raises InputError where it is no JSON object."""
    value = _json(body)
    kept = {name: value[name] for name in _ASKED if name in value}
    messages = kept.get("messages")
    if isinstance(messages, list):
        kept["messages"] = [_as_text(message) for message in messages]
    return kept


def answered(body: bytes, streamed: bool) -> dict[str, Any]:
    """The answer: ``model``, ``choices`` with what was said and why it ended, and whether all of them are ``complete``.

    Raises:
        InputError: it is no answer, or was cut off where a stream would have gone on.
    """
    return _of_stream(body) if streamed else _of_whole(_json(body))


def _of_whole(value: Mapping[str, Any]) -> dict[str, Any]:
    choices = value.get("choices")
    if not isinstance(choices, list):
        raise InputError("the answer has no choices")
    kept = []
    for choice in choices:
        one = {name: choice[name] for name in ("index", "text", "finish_reason") if name in choice}
        if "message" in choice:
            one["message"] = _message(choice["message"])
        kept.append(one)
    return _answer(value.get("model"), kept, ended=True)


def _message(given: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": given.get("content") or ""}
    for name in _THOUGHTS:
        if given.get(name):
            message["reasoning_content"] = given[name]
    if given.get("tool_calls"):
        message["tool_calls"] = given["tool_calls"]
    return message


def _of_stream(body: bytes) -> dict[str, Any]:
    model: Any = None
    choices: dict[int, dict[str, Any]] = {}
    ended = False
    for event in body.split(b"\n\n"):
        data = event.removeprefix(b"data:").strip()
        if not event.startswith(b"data:") or data == _DONE:
            ended = ended or data == _DONE
            continue
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            break  # the event where the gateway kept no more
        if not isinstance(value, dict):
            continue
        model = value.get("model", model)
        for part in value.get("choices") or ():
            _add(choices.setdefault(int(part.get("index", 0)), {}), part)
    if not choices:
        raise InputError("the stream has no choices")
    return _answer(model, [{"index": index, **choices[index]} for index in sorted(choices)], ended)


def _answer(model: Any, choices: list[dict[str, Any]], ended: bool) -> dict[str, Any]:
    complete = ended and bool(choices) and all(choice.get("finish_reason") not in _CUT for choice in choices)
    return {"model": model, "choices": choices, "complete": complete}


def _add(choice: dict[str, Any], part: Mapping[str, Any]) -> None:
    """Add a chunk's part of one choice to what came before it."""
    if "text" in part:
        choice["text"] = choice.get("text", "") + (part["text"] or "")
    delta = part.get("delta")
    if isinstance(delta, dict):
        message = choice.setdefault("message", {"role": "assistant", "content": ""})
        message["content"] += delta.get("content") or ""
        for name in _THOUGHTS:
            if delta.get(name):
                message["reasoning_content"] = message.get("reasoning_content", "") + delta[name]
        for call in delta.get("tool_calls") or ():
            _add_call(message.setdefault("tool_calls", []), call)
    if part.get("finish_reason"):
        choice["finish_reason"] = part["finish_reason"]


def _add_call(calls: list[dict[str, Any]], part: Mapping[str, Any]) -> None:
    place = int(part.get("index", len(calls)))
    while len(calls) <= place:
        calls.append({"type": "function", "function": {"name": "", "arguments": ""}})
    if part.get("id"):
        calls[place]["id"] = part["id"]
    for name, text in (part.get("function") or {}).items():
        if name in ("name", "arguments") and isinstance(text, str):
            calls[place]["function"][name] += text


def _as_text(message: Any) -> Any:
    """A message whose pictures and sounds are named and gone: nobody can redact them."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    parts = [
        part if isinstance(part, str) or part.get("type") == "text" else {"type": part.get("type")}
        for part in message["content"]
        if isinstance(part, str | dict)
    ]
    return {**message, "content": parts}


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f"no JSON, or cut off ({error})") from error
    if not isinstance(value, dict):
        raise InputError("no JSON object")
    return value
