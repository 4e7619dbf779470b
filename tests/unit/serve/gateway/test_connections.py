"""Connections to servers that answer well, badly, early, late and not at all; on both event loops that a gateway may run in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from serin.serve.gateway import connections
from serin.serve.gateway.connections import BrokenAnswerError, Connections

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Seen:
    """What the other end saw."""

    url: str = ""
    connections: int = 0
    closed: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def server(*answers: bytes | Answering) -> AsyncIterator[tuple[Connections, Seen]]:
    """Each request gets the next of ``answers``; a function writes its own. In the end all connections must have been closed."""
    seen = Seen()
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    seen.heads.append(await reader.readuntil(b"\r\n\r\n"))
                    answer = left.pop(0)
                    if callable(answer):
                        await answer(reader, writer)
                        return
                    length = int(seen.heads[-1].split(b"content-length: ")[1].split(b"\r\n")[0])
                    seen.bodies.append(await reader.readexactly(length))
                    writer.write(answer)
        finally:
            seen.closed += 1
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    client = Connections(seen.url)
    try:
        async with asyncio.timeout(20):
            yield client, seen
    finally:
        listening.close()
        await client.close()
        await until(lambda: seen.closed == seen.connections)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def asked(client: Connections, body: bytes = b"{}") -> bytes:
    response = await client.post("/r/a/v1/x", {"x-request-id": "n"}, body)
    return await response.read()


async def ends(reader: asyncio.StreamReader) -> None:
    """Return once the client has closed its end."""
    while await reader.read(1 << 16):
        pass


async def test_a_question_comes_as_it_was_asked() -> None:
    async with server(OK) as (client, seen):
        response = await client.post("/r/a/v1/x", {"content-type": "application/json", "x-request-id": "n"}, b'{"a":1}')
        assert (response.status, response.content_type, response.content_length) == (200, "application/json", 2)
        assert await response.read() == b"{}"
        assert await response.read_some() == b""
    start, *headers = seen.heads[0].decode().strip().split("\r\n")
    assert start == "POST /r/a/v1/x HTTP/1.1"
    assert sorted(headers) == [
        "content-length: 7",
        "content-type: application/json",
        f"host: {seen.url.removeprefix('http://')}",
        "x-request-id: n",
    ]
    assert seen.bodies == [b'{"a":1}']


async def test_a_connection_is_used_again_when_its_answer_is_whole() -> None:
    async with server(OK, STREAM + b"1\r\na\r\n2\r\nbc\r\n0\r\ntrailer: x\r\n\r\n", OK) as (client, seen):
        assert await asked(client) == b"{}"
        response = await client.post("/", {}, b"")
        assert await response.read() == b"abc"
        assert "trailer" not in response.headers
        assert await asked(client) == b"{}"
        assert seen.connections == 1


async def test_questions_at_once_have_a_connection_each() -> None:
    async with server(OK, OK, OK) as (client, seen):
        assert await asyncio.gather(*(asked(client) for _ in range(3))) == [b"{}"] * 3
        assert seen.connections == 3


async def test_a_body_comes_piece_by_piece() -> None:
    more = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + b"3\r\none\r\n")
        await more.wait()
        writer.write(b"3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")
        await ends(reader)

    async with server(answer) as (client, _):
        response = await client.post("/", {}, b"")
        assert response.content_type == "text/event-stream"
        assert response.content_length is None
        assert await response.read_some() == b"one"
        more.set()
        assert await response.read() == b"twothree"


@pytest.mark.parametrize("between", ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"])
async def test_an_interim_answer_is_passed_over(between: str) -> None:
    async with server(between.encode() + OK) as (client, _):
        response = await client.post("/", {}, b"")
        assert (response.status, await response.read()) == (200, b"{}")
        assert "link" not in response.headers


async def test_a_body_without_a_length_lasts_until_the_end() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with server(answer, OK) as (client, seen):
        assert await asked(client) == b"all of it"
        assert await asked(client) == b"{}"
        assert seen.connections == 2


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"", None),
        (b"HTTP/1.1 200", None),
        (b"what is this\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", None),
        (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", b"{}"),
        (STREAM + b"3\r\none\r\n3\r\ntw", b"onetw"),
        (STREAM + b"3\r\none\r\n", b"one"),
        (STREAM + b"3\r\none\r\nno length\r\n", b"one"),
    ],
    ids=[
        "nothing",
        "half a line",
        "no HTTP",
        "no number",
        "another protocol",
        "short",
        "in a chunk",
        "no end",
        "no chunk",
    ],
)
async def test_what_breaks_off_is_no_whole_answer(sent: bytes, read: bytes | None) -> None:
    """``read`` is what comes before the error; None: not even a head."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)

    async with server(answer, OK) as (client, _):
        if read is None:
            with pytest.raises(BrokenAnswerError):
                await client.post("/", {}, b"")
        else:
            response = await client.post("/", {}, b"")
            came = [await response.read_some()]
            with pytest.raises(BrokenAnswerError):
                came += [await response.read_some() for _ in range(3)]
            assert b"".join(came) == read
        assert await asked(client) == b"{}"


async def test_a_head_without_end_is_given_up() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2 * connections._HEAD_BYTES)
        await ends(reader)

    async with server(answer) as (client, _):
        with pytest.raises(BrokenAnswerError, match="head is longer"):
            await client.post("/", {}, b"")


async def test_a_reset_in_the_middle_is_told() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nwithout a length")
        await asyncio.sleep(0.1)
        writer.transport.abort()

    async with server(answer) as (client, _):
        response = await client.post("/", {}, b"x" * (16 << 20))  # what is not read yet makes the abort a reset
        with pytest.raises(BrokenAnswerError):
            await response.read()


async def test_an_end_is_told_though_the_question_is_not_sent_yet() -> None:
    told = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        await told.wait()

    async with server(answer) as (client, _):
        with pytest.raises(BrokenAnswerError):
            await client.post("/", {}, b"x" * (64 << 20))
        told.set()


async def test_an_answer_before_the_question_is_sent_ends_the_connection() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}")
        await ends(reader)

    async with server(answer, OK) as (client, seen):
        response = await client.post("/", {}, b"x" * (64 << 20))
        assert (response.status, await response.read()) == (413, b"{}")
        assert await asked(client) == b"{}"
        assert seen.connections == 2


@pytest.mark.parametrize("more", [b"", OK], ids=["it is closed", "it speaks unasked"])
async def test_a_connection_that_waits_and_goes_bad_is_not_used(more: bytes) -> None:
    now = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await now.wait()
        writer.write(more)
        await writer.drain()
        await asyncio.sleep(0.1)

    async with server(answer, OK) as (client, seen):
        assert await asked(client) == b"{}"
        now.set()
        await until(lambda: not client._living)
        assert await asked(client) == b"{}"
        assert seen.connections == 2


async def test_two_answers_to_one_question_are_one() -> None:
    async with server(OK + OK, OK) as (client, seen):
        assert await asked(client) == b"{}"
        assert await asked(client) == b"{}"
        assert seen.connections == 2


async def test_a_connection_that_waited_too_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(OK, OK) as (client, seen):
        assert await asked(client) == b"{}"
        monkeypatch.setattr(connections, "_KEEP_ALIVE_S", 0.05)
        await asyncio.sleep(0.1)
        assert await asked(client) == b"{}"
        assert seen.connections == 2
        await until(lambda: seen.closed == 1)


async def test_an_answer_that_is_closed_early_tells_the_other_end() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM + b"3\r\none\r\n")
        await ends(reader)

    async with server(answer) as (client, seen):
        response = await client.post("/", {}, b"")
        assert await response.read_some() == b"one"
        response.close()
        await until(lambda: seen.closed == 1)


async def test_who_stops_waiting_for_a_head_closes_the_connection() -> None:
    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await ends(reader)

    async with server(answer) as (client, seen):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.post("/", {}, b"")
        await until(lambda: seen.closed == 1)


async def test_who_reads_slowly_makes_the_other_end_wait_and_gets_all() -> None:
    sent = 0
    size, piece = 64 << 20, b"z" * (64 << 10)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
        await ends(reader)

    async with server(answer) as (client, _):
        response = await client.post("/", {}, b"")
        await asyncio.sleep(0.5)
        assert sent < size / 2  # the kernel's buffers take some MiB
        assert response._unread < 2 << 20
        assert len(await response.read()) == size


async def test_a_large_answer_that_nobody_has_read_yet_does_not_stop_the_next_one() -> None:
    size = connections._UNREAD_BYTES + 10
    large = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"z" * size
    async with server(large, OK) as (client, seen):
        response = await client.post("/", {}, b"")
        await until(lambda: response._whole)
        assert await asked(client) == b"{}"
        assert seen.connections == 1
        assert len(await response.read()) == size


async def test_nobody_there_is_an_error_of_the_connection() -> None:
    async with server() as (_, seen):
        pass
    with pytest.raises(OSError, match=r"[Cc]onnect"):
        await Connections(seen.url).post("/", {}, b"")


async def test_a_header_cannot_bring_another_one() -> None:
    async with server(OK) as (client, seen):
        with pytest.raises(ValueError, match="more than one line"):
            await client.post("/", {"traceparent": "a\r\nx-serin-secret: b"}, b"")
        assert seen.connections == 0


@pytest.mark.parametrize("address", ["https://127.0.0.1:1", "127.0.0.1:80", "http://"])
def test_another_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no address of the form"):
        Connections(address)
