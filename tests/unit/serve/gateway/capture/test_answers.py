"""What is read out of the bytes that went by."""

import json
from typing import Any

import pytest

from serin.core.errors import InputError
from serin.serve.gateway.capture.answers import answered, asked


def stream(*values: dict[str, Any], done: bool = True) -> bytes:
    events = [f"data: {json.dumps(value)}\n\n" for value in values]
    return "".join([*events, "data: [DONE]\n\n"] if done else events).encode()


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"model": "a@1", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def test_a_stream_is_put_together_by_choice_with_thoughts_and_calls() -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "find", "arguments": ""}}
    rest = {"index": 0, "function": {"arguments": '{"a":'}}, {"index": 0, "function": {"arguments": "1}"}}
    body = stream(
        chunk(role="assistant", content=""),
        chunk(reasoning="Hm"),
        chunk(reasoning=", well."),
        chunk(content="It "),
        chunk(content="is"),
        chunk(content="Other", index=1),
        chunk(tool_calls=[call]),
        chunk(tool_calls=[rest[0]]),
        chunk(tool_calls=[rest[1]]),
        chunk("tool_calls"),
        chunk("stop", index=1),
        {"model": "a@1", "choices": [], "usage": {"prompt_tokens": 1}},
    )
    read = answered(body, streamed=True)
    assert read["complete"] is True
    assert read["model"] == "a@1"
    first, second = read["choices"]
    assert first["message"]["content"] == "It is"
    assert first["message"]["reasoning_content"] == "Hm, well."
    function = {"name": "find", "arguments": '{"a":1}'}
    assert first["message"]["tool_calls"] == [{"type": "function", "function": function, "id": "c1"}]
    assert second["message"]["content"] == "Other"


def test_a_whole_answer_and_its_stream_are_read_alike() -> None:
    message = {"role": "assistant", "content": "Yes.", "refusal": None, "reasoning": "Hm"}
    whole = {"model": "a@1", "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]}
    streamed = stream(chunk(reasoning="Hm"), chunk(content="Yes."), chunk("stop"))
    assert answered(json.dumps(whole).encode(), streamed=False) == answered(streamed, streamed=True)


def test_completions_are_texts() -> None:
    parts = [{"model": "a@1", "choices": [{"index": 0, "text": text, "finish_reason": None}]} for text in ("on", "ce")]
    end = {"model": "a@1", "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}
    assert answered(stream(*parts, end), streamed=True)["choices"][0]["text"] == "once"


@pytest.mark.parametrize(
    "body",
    [
        stream(chunk(content="It"), chunk("stop"), done=False),
        stream(chunk(content="It"), chunk("length")),
        stream(chunk(content="It")),
        stream(chunk(content="It"), done=False) + b'data: {"choices":[{"ind',
    ],
    ids=["no end", "out of tokens", "no reason", "cut in an event"],
)
def test_what_was_cut_off_is_not_complete(body: bytes) -> None:
    read = answered(body, streamed=True)
    assert read["complete"] is False
    assert read["choices"][0]["message"]["content"] == "It"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"error": {}}'])
def test_what_is_no_answer_is_said_to_be_none(body: bytes) -> None:
    for streamed in (False, True):
        with pytest.raises(InputError):
            answered(body, streamed)


def test_a_request_is_kept_without_who_asked_and_without_pictures() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    content = [{"type": "text", "text": "What is this?"}, picture]
    body = {"messages": [{"role": "user", "content": content}], "user": "alice", "metadata": {"mail": "x"}, "seed": 1}
    kept = asked(json.dumps(body).encode())
    assert kept == {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url"}]}],
        "seed": 1,
    }
