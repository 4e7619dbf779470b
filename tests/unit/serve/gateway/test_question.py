import json
from typing import Any

import orjson
import pydantic_core
import pytest

from serin.serve.gateway.question import Question

CHAT = "/v1/chat/completions"


def question(body: bytes, path: str = CHAT) -> Question:
    return Question(path, body, orjson.loads(body), {})


@pytest.mark.parametrize("parse", [json.loads, orjson.loads, pydantic_core.from_json])
@pytest.mark.parametrize(
    "body",
    [b"{}", b" { } \n", b'{"model":"serin","x":"}"}', b'{"model":1,"model":"a", "mod\\u0065l": "b"}', b'{"a":{}}\n'],
)
def test_every_parser_reads_the_revision_and_all_else_unchanged(parse: Any, body: bytes) -> None:
    sent = question(body).for_revision("law-qa@3f9a1c20")
    assert parse(sent) == {**json.loads(body), "model": "law-qa@3f9a1c20"}
    assert sent.startswith(body[: body.rindex(b"}")])


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"stream": True}, {"include_usage": True, "continuous_usage_stats": False}),
        ({"stream": True, "stream_options": None}, {"include_usage": True, "continuous_usage_stats": False}),
        (
            {"stream": True, "stream_options": {"include_usage": False, "continuous_usage_stats": True, "new": 1}},
            {"include_usage": True, "continuous_usage_stats": False, "new": 1},
        ),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"include_usage": True}),
        ({"stream": True, "stream_options": "nonsense"}, "nonsense"),
        ({"stream": False}, None),
        ({}, None),
    ],
)
def test_usage_is_forced_on_streams_that_did_not_ask_for_it(given: dict[str, Any], sent: Any) -> None:
    assert json.loads(question(json.dumps(given).encode()).for_revision("a@12345678")).get("stream_options") == sent


def test_it_is_forced_where_the_path_knows_it_alone() -> None:
    value = json.loads(question(b'{"stream":true}', "/v1/responses").for_revision("a@12345678"))
    assert value == {"stream": True, "model": "a@12345678"}
