"""Requests made from the gateway's own description, and changed at random: never a 500, a hang, or another client's answer."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serin.clients.serving_state import FolderState
from serin.core.params import AccessParams
from serin.serve.gateway.app import Gateway
from serin.serve.gateway.description import description
from serin.serve.gateway.endpoints import ENDPOINTS
from serin.serve.gateway.settings import GatewaySettings

from ....serving.gateways import Stand, stand

DESCRIPTION = description()
OPERATIONS = [(method.upper(), path) for path, methods in DESCRIPTION["paths"].items() for method in methods]

texts = st.text(st.characters(codec="utf-8"), max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
MEMBERS = [
    "model",
    "stream",
    "stream_options",
    "user",
    "messages",
    "prompt",
    "n",
    "max_tokens",
    "max_completion_tokens",
]
MEMBERS += ["score", "request_id", "safety_identifier", "prompt_cache_key", "input", "max_output_tokens"]
models = st.sampled_from(["serin", "law-qa", "law-qa@aaaaaaaa", "law-qa@", "@", ""])
numbers = st.sampled_from([0, -1, 1, 2**63, 2**64, 1e308, 0.5, True])
bodies = st.dictionaries(st.sampled_from(MEMBERS) | texts, anything | models | numbers, max_size=8).map(
    lambda value: json.dumps(value).encode()
)
broken = st.tuples(bodies, st.integers(0, 200), st.binary(max_size=4)).map(lambda b: b[0][: b[1]] + b[2] + b[0][b[1] :])
NAMES = ["authorization", "x-api-key", "x-serin-user", "x-serin-revision", "x-request-timeout", "x-request-id"]
NAMES += [
    "traceparent",
    "content-type",
    "content-encoding",
    "origin",
    "expect",
    "x-serin-secret",
    "x-forwarded-for",
    "accept",
]
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40) | models | numbers.map(str)
headers = st.dictionaries(st.sampled_from(NAMES), values, max_size=4)
paths = st.sampled_from(OPERATIONS).map(lambda o: o[1]) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126), max_size=30
).map(lambda text: f"/{text.replace('#', '').replace('?', '')}")
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"])


def test_every_handler_is_described_and_nothing_else_is(tmp_path: Path) -> None:
    made = GatewaySettings("http://127.0.0.1:1", "s", (b"k" * 32,), 1.0, 1.0, access=AccessParams())
    gateway = Gateway(made, FolderState(tmp_path), "test")
    assert {*gateway.handlers, ("GET", "/v1/models/{model}")} == set(OPERATIONS)
    gateway.evidence.close()


def test_the_description_refers_to_what_is_in_it() -> None:
    named = set(_references(DESCRIPTION))
    assert named == {"#/components/schemas/Error"}
    assert "Error" in DESCRIPTION["components"]["schemas"]
    for methods_of in DESCRIPTION["paths"].values():
        for operation in methods_of.values():
            assert {"200"} < operation["responses"].keys() or "security" not in operation


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [value["$ref"]] if "$ref" in value else [r for v in value.values() for r in _references(v)]
    return [r for v in value for r in _references(v)] if isinstance(value, list) else []


@pytest.fixture
async def here(tmp_path: Path) -> Any:
    async with stand(tmp_path, access={"max_body_bytes": 4096, "body_timeout_s": 2.0}) as made:
        yield made


async def test_whatever_is_asked_is_answered_in_order(here: Stand) -> None:
    drawn: list[tuple[str, str, dict[str, str], bytes]] = []

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(methods, paths, headers, bodies | broken)
    def draw(method: str, path: str, head: dict[str, str], body: bytes) -> None:
        drawn.append((method, path, head, body))

    draw()
    known = {path for _, path in OPERATIONS}
    for number, (method, path, head, body) in enumerate(drawn):
        sent = {"x-serin-user": f"user-{number}", **head}
        sent.pop("expect", None)
        before = {name: len(here.revisions[name].asked) for name in here.revisions.names}
        async with here.http.request(
            method, path, data=body, headers=sent, timeout=aiohttp.ClientTimeout(20)
        ) as answer:
            try:
                text = await answer.text()
            except aiohttp.ClientPayloadError:
                # The fakes end every stream as completions end, so the gateway breaks those that have to end otherwise.
                assert path in ("/v1/responses", "/v1/messages"), (method, path, head, body)
                continue
        asked = sum(len(here.revisions[name].asked) - before[name] for name in here.revisions.names)
        assert answer.status < 500, (method, path, head, body, text)
        assert asked <= 1, (method, path)
        assert not asked or (method == "POST" and path.partition("?")[0] in ENDPOINTS), (method, path)
        assert "x-request-id" in answer.headers, (method, path)
        if answer.status >= 400 and method != "HEAD":
            assert set(json.loads(text)) == {"error"}, (method, path, text)
        if path in known and answer.status >= 400 and method.lower() in DESCRIPTION["paths"][path]:
            assert str(answer.status) in DESCRIPTION["paths"][path][method.lower()]["responses"], (path, answer.status)
