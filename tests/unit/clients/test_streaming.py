"""Answers as they are written, and servers that refuse, fail or break off."""

import socket
from collections.abc import Iterator

import pytest

from serin.clients.streaming import Server, only_model, stream_completion
from serin.core.errors import ConfigError, RetryableError, UsageError

from .stream_server import StreamServer, chunk, stream_server

KEY = "sk-a1b2c3d4e5f6"


@pytest.fixture
def served() -> Iterator[StreamServer]:
    with stream_server() as server:
        yield server


def ask(url: str, heard: list[str] | None = None) -> str:
    heard = [] if heard is None else heard
    messages = [{"role": "user", "content": "试用期?"}]
    return stream_completion(Server(url, KEY), "law-qa", messages, 20, 0.0, heard.append)


def test_pieces_are_heard_as_they_come_and_the_whole_is_returned(served: StreamServer) -> None:
    heard: list[str] = []
    assert ask(served.url, heard) == "You said: 试用期?"
    assert heard == ["You said: ", "试用期?"]
    (body,) = served.asked
    assert (body["model"], body["temperature"], body["max_completion_tokens"], body["stream"]) == (
        "law-qa",
        0.0,
        20,
        True,
    )


def test_a_piece_is_heard_before_the_next_is_written(served: StreamServer) -> None:
    served.answer = lambda _: ["first ", "wait", "second"]
    heard: list[str] = []

    def hear(text: str) -> None:
        heard.append(text)
        served.release.set()

    assert stream_completion(Server(served.url, KEY), "m", [], 20, 0.0, hear) == "first second"
    assert heard == ["first ", "second"]


def test_who_no_longer_listens_stops_the_answer(served: StreamServer) -> None:
    served.answer = lambda _: ["first ", "wait", "second"]

    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream_completion(Server(served.url, KEY), "m", [], 20, 0.0, stop)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, ConfigError, r"refused with 401: no: Bearer \[KEY\]; check address, model and key"),
        (404, ConfigError, "refused with 404"),
        (429, RetryableError, "failed with 429"),
        (500, RetryableError, r"failed with 500: no: Bearer \[KEY\]; ask again"),
    ],
)
def test_a_server_that_says_no(served: StreamServer, status: int, error: type[Exception], words: str) -> None:
    served.status = status
    with pytest.raises(error, match=words) as told:
        ask(served.url)
    assert KEY not in str(told.value)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (["Six ", None], "did not answer .* check that it runs"),
        (["Six ", chunk({"content": "mon"})], "broke off in the middle of its answer"),
        (["Six ", {"error": {"message": "engine died"}}], "engine died"),
    ],
    ids=["cut", "no end", "error"],
)
def test_an_answer_that_breaks_off_is_no_answer(served: StreamServer, script: list[object], words: str) -> None:
    served.answer = lambda _: script  # type: ignore[assignment,return-value]  # a list of mixed pieces
    with pytest.raises(RetryableError, match=words):
        ask(served.url)


def test_where_nobody_listens_there_is_no_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(RetryableError, match=r"did not answer \(Connect"):
            ask(url)
        with pytest.raises(RetryableError, match="did not answer"):
            only_model(Server(url, KEY))


def test_the_only_model_needs_no_name(served: StreamServer) -> None:
    assert only_model(Server(served.url, KEY)) == "law-qa"
    served.models = ("b", "a")
    with pytest.raises(UsageError, match="has a, b: name one with --endpoint-model"):
        only_model(Server(served.url, KEY))
    served.models = ()
    with pytest.raises(UsageError, match="has no model"):
        only_model(Server(served.url, KEY))
