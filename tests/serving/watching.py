"""Clients that ask one stream after another while something is killed, and say of each how it ended."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

_PAUSE_S = 0.1
"""After a failure: where nothing listens, a refusal takes no time at all."""


@dataclass(frozen=True)
class Ended:
    """One stream. ``told`` is what its client was told of a failure; one that is neither whole nor told of is a lie."""

    began: float
    ended: float
    whole: bool
    told: str | None = None
    retry_after: str | None = None


@dataclass
class Watched:
    """What clients have seen; times are seconds of ``time.monotonic``."""

    seen: list[Ended] = field(default_factory=list)
    streaming: dict[int, int] = field(default_factory=dict)
    """How many events of its stream each client has got that has the first one, and not yet the last; by its thread."""

    @property
    def whole(self) -> list[Ended]:
        """The streams that ended as they should."""
        return [each for each in self.seen if each.whole]

    @property
    def lies(self) -> list[Ended]:
        """The streams that look complete and are not."""
        return [each for each in self.seen if not each.whole and each.told is None]

    def failed(self, since: float = 0.0) -> list[Ended]:
        """The streams that began then or later, and are not whole."""
        return [each for each in self.seen if not each.whole and each.began >= since]

    def under_way(self, when: float) -> list[Ended]:
        """The streams that had begun at that time and not ended."""
        return [each for each in self.seen if each.began < when < each.ended]

    def back(self, since: float) -> float | None:
        """When the first of the streams that began later had come to its end, whole; None: none has yet."""
        return min((each.ended for each in self.whole if each.began >= since), default=None)


@contextmanager
def watching(url: str, model: str, clients: int, tokens: int, pause_s: float = 0.0) -> Iterator[Watched]:
    """As many clients at once, each with a pause between its streams; on leaving, each ends the stream that it is in."""
    watched = Watched()
    over = threading.Event()

    def ask() -> None:
        # A connection for each stream: what was idle when its other end died would tell of that at the next use.
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(trust_env=False, verify=False, limits=limits, timeout=60.0) as http:
            while not over.is_set():
                ended = _stream(http, f"{url}/v1/chat/completions", model, tokens, watched.streaming)
                watched.seen.append(ended)
                over.wait(pause_s if ended.whole else _PAUSE_S)

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(ask) for _ in range(clients)]
        try:
            yield watched
        finally:
            over.set()
        for each in asking:
            each.result(120)


def _stream(http: httpx.Client, url: str, model: str, tokens: int, streaming: dict[int, int]) -> Ended:
    began = time.monotonic()
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "How long may a probation period last?"}],
        "max_tokens": tokens,
        "ignore_eos": True,
        "stream": True,
    }
    lines: list[str] = []
    try:
        with http.stream("POST", url, json=body) as answer:
            if answer.status_code != 200:
                told = f"{answer.status_code} {answer.read().decode()[:200]}"
                return Ended(began, time.monotonic(), False, told, answer.headers.get("retry-after"))
            for line in _lines(answer):
                if line.startswith("data: "):
                    lines.append(line)
                    streaming[threading.get_ident()] = len(lines)
    except httpx.HTTPError as error:
        return Ended(began, time.monotonic(), False, repr(error))
    finally:
        streaming.pop(threading.get_ident(), None)
    told = next((line[:200] for line in lines if line.startswith('data: {"error"')), None)
    return Ended(began, time.monotonic(), told is None and _is_whole(lines), told)


def _lines(answer: httpx.Response) -> Iterator[str]:
    """Lines that end with a newline; httpx's own end at each of the separators that a model may say, U+2028 and others."""
    rest = b""
    for chunk in answer.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)


def _is_whole(lines: list[str]) -> bool:
    if not lines or lines[-1] != "data: [DONE]":
        return False
    choices = [choice for line in lines[:-1] for choice in json.loads(line[6:]).get("choices", [])]
    return any(choice["finish_reason"] == "length" for choice in choices)
