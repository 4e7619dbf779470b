"""Clients who mean harm, over real sockets: nothing hangs, nothing is a 500, and no revision sees what it should not."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from serin.serve.gateway.http import MOST_NESTED

from ....serving.fake_revisions import Behaviour
from ....serving.gateways import CANARY, STABLE, Stand, stand

CHAT = "/v1/chat/completions"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand(tmp_path, access={"max_body_bytes": 20_000, "body_timeout_s": 1.0}) as made:
        yield made


async def raw(here: Stand, sent: bytes, timeout_s: float = 20.0) -> bytes:
    """What comes back over one connection until the server closes it, or is silent for a second."""
    host, port = here.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    got = b""
    try:
        writer.write(sent)
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    piece = await asyncio.wait_for(reader.read(65536), 1.0 if got else timeout_s)
                except TimeoutError:
                    return got
                if not piece:
                    return got
                got += piece
    finally:
        writer.close()


def statuses(answers: bytes) -> list[int]:
    """The status of every answer on a connection."""
    return [int(line.split()[1]) for line in answers.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a text": b'"x"',
    "NaN": b'{"temperature": NaN}',
    "infinite": b'{"temperature": Infinity}',
    "too large a number": b'{"temperature": 1e999}',
    "5000 digits": b'{"seed": ' + b"1" * 5000 + b"}",
    "invalid UTF-8": b'{"user": "\xff\xfe"}',
    "an overlong NUL": b'{"user": "\xc0\x80"}',
    "a lone surrogate": b'{"user": "\\ud800"}',
    "a surrogate in UTF-8": b'{"user": "\xed\xa0\x80"}',
    "a control character": b'{"user": "a\x00b"}',
    "nested lists": b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "nested just too deep": b'{"a":' * MOST_NESTED + b"[]" + b"}" * MOST_NESTED,
    "unclosed lists": b'{"a": ' + b"[" * 9000,
    "two values": b"{}{}",
    "a BOM": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_body_that_no_revision_could_read_is_refused_before_one_is_asked(here: Stand, name: str) -> None:
    for path in (CHAT, "/v1/feedback"):
        async with here.http.post(path, data=BAD_BODIES[name]) as answer:
            assert answer.status == 400, await answer.text()
            assert (await answer.json())["error"]["code"] == 400
            assert answer.headers["x-request-id"]
    assert here.stable.asked == []


async def test_what_is_odd_but_lawful_reaches_the_revision(here: Stand) -> None:
    for body in (
        b'{"user": "a\\u0000b", "messages": []}',
        b'{"user": "\\r\\nx-serin-secret: x", "messages": []}',
        b'{"user": ["a"], "messages": []}',
        b'{"model": "nobody", "model": "serin"}',
        b'{"a":' * (MOST_NESTED - 1) + b"[]" + b"}" * (MOST_NESTED - 1),
        b'{"stop": [' + b",".join([b"[]"] * 500) + b"]}",
    ):
        async with here.http.post(CHAT, data=body) as answer:
            assert answer.status == 200, await answer.text()
    for asked in here.stable.asked:
        assert asked.value["model"] == STABLE
        assert set(asked.headers) <= {"host", "content-type", "content-length", "x-request-id", "x-serin-secret"}


@pytest.mark.parametrize(
    "model", ["\r\nx: y", "\x00", "../../canary", STABLE + "/../x", "a" * 10_000, "%2e%2e", "@", ""]
)
async def test_a_model_that_is_no_name_is_not_found(here: Stand, model: str) -> None:
    async with here.http.post(CHAT, json={"model": model}) as answer:
        assert answer.status == 404, await answer.text()
    async with here.http.post(CHAT, json={"model": 7}) as answer:
        assert answer.status in (200, 400, 404)


async def test_a_body_is_cut_off_at_the_limit_and_not_read_on(here: Stand) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 8192
            yield b" " * 8192

    with suppress(aiohttp.ClientError, ConnectionError):  # the server may close while the client is still sending
        async with here.http.post(CHAT, data=endless()) as answer:
            assert answer.status == 413
    assert sent < 16 << 20
    async with here.http.post(CHAT, data=b" " * 30_000) as answer:
        assert answer.status == 413
    answers = await raw(here, b"POST " + CHAT.encode() + b" HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n")
    assert statuses(answers) == [413]


async def test_a_body_that_never_ends_is_given_up(here: Stand) -> None:
    head = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nhost: a\r\n"
    for rest in (b"content-length: 100\r\n\r\n{", b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"):
        assert statuses(await raw(here, head + rest)) == [408]
    assert here.stable.asked == []


async def test_a_bomb_is_not_unpacked(here: Stand) -> None:
    bomb = gzip.compress(b'{"a": "' + b" " * 1_000_000 + b'"}')
    for encoding in ("gzip", "deflate", "br", "gzip, identity"):
        async with here.http.post(CHAT, data=bomb, headers={"content-encoding": encoding}) as answer:
            assert answer.status == 415
    assert here.stable.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1/../v1/chat/completions",
        "/v1/chat/completions/",
        "/V1/chat/completions",
        "/v1/chat/completions%00",
        "/v1/chat%2fcompletions/..",
        "/r/law-qa-aaaaaaaa/v1/chat/completions",
        "/v1/../r/law-qa-aaaaaaaa/tokenize",
        "/v1/models/..%2f..%2fr",
        "/v1/models/%2e%2e/%2e%2e/metrics",
        "/admin/v1/../../v1/chat/completions",
        "/metrics",
        "/docs",
        "*",
        "http://other.example/v1/chat/completions/x",
    ],
)
async def test_no_trick_with_a_path_reaches_a_revision(here: Stand, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
        request = f"{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}".encode()
        answers = statuses(await raw(here, request))
        assert answers in ([404], [405], [400]), (method, answers)
    assert here.stable.asked == []


SMUGGLED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 2\r\ntransfer-encoding: chunked",
        b"transfer-encoding: chunked\r\ncontent-length: 2",
        b"content-length: 2\r\ncontent-length: 90",
        b"content-length: +2",
        b"content-length: -1",
        b"content-length: 0x2",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunked, identity",
        b"transfer-encoding : chunked",
        b"transfer-encoding:\x0bchunked",
        b"a: b\nx: y\r\ncontent-length: 2",
    ],
)
async def test_a_request_of_two_readings_does_not_carry_another(here: Stand, head: bytes) -> None:
    """Whatever follows such a request on its connection may be the body of one reading and a request of the other."""
    body = b"0\r\n\r\n"
    answers = await raw(here, b"GET /healthz HTTP/1.1\r\nhost: a\r\n" + head + b"\r\n\r\n" + body + SMUGGLED)
    assert all(status < 500 for status in statuses(answers)), answers
    assert len(here.stable.asked) == 0 or b"transfer-encoding: chunked\r\n" in head + b"\r\n", answers


async def test_endless_headers_are_refused(here: Stand) -> None:
    many = b"".join(b"x-%d: %s\r\n" % (i, b"a" * 1000) for i in range(2000))
    answers = await raw(here, b"GET /healthz HTTP/1.1\r\nhost: a\r\n" + many + b"\r\n")
    assert statuses(answers) in ([400], [431], [200], [])
    async with here.http.get("/healthz") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/v1/realtime", CHAT, "/healthz", "/"])
async def test_a_websocket_is_refused(here: Stand, path: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await here.http.ws_connect(path)
    assert refused.value.status in (401, 403)


async def test_a_page_of_a_web_site_may_not_ask_through_its_visitors_browser(here: Stand) -> None:
    for origin, status in [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1.evil.example", 403),
        ("http://localhost@evil.example", 403),
        ("http://[::1", 403),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8000", 200),
    ]:
        answer = await here.chat({"origin": origin})
        assert answer.status == status, origin


async def test_nothing_of_a_request_or_an_answer_is_logged(here: Stand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for logger in ("uvicorn", "uvicorn.error", "uvicorn.access", "serin"):
        logging.getLogger(logger).setLevel(logging.DEBUG)
    here.split(rollout="r", canary=CANARY, canary_weight=0.5)
    for fake in (here.stable, here.canary):
        fake.behaviour = Behaviour(text="canary-of-an-answer one two")
    secret = {"messages": [{"role": "user", "content": "canary-of-a-question"}], "user": "canary-of-a-user"}
    await here.chat(**secret)
    await here.chat(stream=True, **secret)
    for fake in (here.stable, here.canary):
        fake.behaviour = Behaviour(answer=b"canary-of-garbage")
    await here.chat(**secret)
    for bad in (Behaviour(text="canary-of-an-answer b c", breaks_after=1), Behaviour(garbage_after=1)):
        for fake in (here.stable, here.canary):
            fake.behaviour = bad
        with suppress(aiohttp.ClientError):
            await here.chat(stream=True, **secret)
    async with here.http.post(CHAT, data=b'{"canary-of-a-question"') as answer:
        assert "canary-of" not in await answer.text()
    logged = "\n".join(
        record.getMessage() + str(record.exc_info[1] if record.exc_info else "")
        for record in caplog.records
        if not record.name.startswith("aiohttp")
    )
    assert "canary-of" not in logged
    assert "as good" not in logged
    assert json.dumps(secret)[:20] not in logged
