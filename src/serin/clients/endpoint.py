"""Questions to an OpenAI-compatible endpoint: within a budget, and never the same one twice."""

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from serin.clients.completion import read_completion, words_of_refusal
from serin.clients.files import write_atomically
from serin.core.digest import canonical_json, digest_of
from serin.core.errors import ConfigError
from serin.core.params import EndpointParams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionMessageParam

NO_KEY = "none"
"""Sent where the key's variable is not set: local servers ask for none, and the client insists on having one."""

# Which questions a budget still pays for is decided in their order, from what the answers before cost: at most this many
# times the concurrency are decided ahead of the oldest one that is still open.
_AHEAD = 4
# Nobody answers any more: the rest would fail as well, each after all its retries.
_FAILURES_IN_A_ROW = 8
_CHARS_A_TOKEN = 2
_WORDS_CHARS = 300
_PASSING_STATUSES = (408, 409, 429)
# Said of the text of one request by services that screen what they are asked; the next one may be answered.
_ABOUT_ONE_REQUEST = "content_filter"


@dataclass(frozen=True, slots=True)
class Request:
    """One question: messages of ``role`` and ``content``, and how the answer is drawn."""

    messages: tuple[Mapping[str, str], ...]
    temperature: float
    seed: int
    max_tokens: int
    """Longest answer."""

    @property
    def tokens_at_most(self) -> int:
        """What it may cost: its longest answer, and half a token for each character of the question."""
        return _tokens_of(*(message["content"] for message in self.messages)) + self.max_tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """What questions came to: those asked, answered from the cache, and left without an answer."""

    requests: int = 0
    """Asked of the endpoint; retries count with the request that they belong to."""
    cached: int = 0
    """Answered without asking."""
    failed: int = 0
    """Asked, and not answered after all retries."""
    unasked: int = 0
    """Not asked: beyond the budget, or after too many failures in a row."""
    tokens: int = 0
    """Prompts and answers, as the endpoint counts them; half the characters where it does not."""

    def since(self, earlier: "Usage") -> "Usage":
        """What came on top of ``earlier``."""
        return Usage(
            self.requests - earlier.requests,
            self.cached - earlier.cached,
            self.failed - earlier.failed,
            self.unasked - earlier.unasked,
            self.tokens - earlier.tokens,
        )


def read_key(name: str, environment: Mapping[str, str]) -> str:
    """The key in the variable ``name``, or ``NO_KEY``. Raises ConfigError where it holds what no HTTP header can carry."""
    key = environment.get(name, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"the key in {name} holds characters that no key has: set it again")
    return key or NO_KEY


class Endpoint:
    """One endpoint for one run: its budget is the run's, its cache outlives the run.

    An answer's file is named by the digest of model, messages and sampling settings. Neither key nor address goes into
    it, so that a moved server or a new key pays for nothing again.
    """

    def __init__(
        self, params: EndpointParams, environment: Mapping[str, str], section: str = "prepare.endpoint"
    ) -> None:
        """Takes the key from ``environment``; sends nothing yet. ``section`` is where ``params`` stand, for messages.

        Raises:
            ConfigError: no address, or a key with characters that no HTTP header can carry.
        """
        if params.url is None:
            raise ConfigError(f"{section}.url is not set: name an OpenAI-compatible endpoint in params.yaml")
        self._params = params
        self._section = section
        self._key = read_key(params.key_env, environment)
        self._folder = Path(params.cache)
        self._usage = Usage()
        self._failed_in_a_row = 0
        self._is_spent = False
        self._last_failure: str | None = None

    @property
    def model(self) -> str:
        """The model that is asked for."""
        return self._params.model

    @property
    def usage(self) -> Usage:
        """What all questions of this run came to so far."""
        return self._usage

    @property
    def last_failure(self) -> str | None:
        """Why the last request that failed did so, in the endpoint's words; None where none failed."""
        return self._last_failure

    def ask(self, requests: Sequence[Request]) -> list[str | None]:
        """The answer to each request, in their order; None where it failed or was not asked.

        What the cache holds is not asked. The rest is, ``concurrency`` at once, as long as the budget lasts: a request is
        sent only if its longest answer would still be paid for. Which ones that is does not depend on who answers first.

        The client tries again after 408, 409, 429, 5xx, timeouts and broken connections. It waits as long as Retry-After
        says, where that is two minutes or less; else half a second, doubled each time, up to eight. A longer Retry-After
        counts as a failure at once.

        Raises:
            ConfigError: the endpoint refuses (another 4xx): address, model, key or settings are wrong.
        """
        names = [self._name(request) for request in requests]
        kept = {name: self._kept(name) for name in dict.fromkeys(names)}
        waiting = {name: request for name, request in zip(names, requests, strict=True) if kept[name] is None}
        asked = asyncio.run(self._ask_all(waiting)) if waiting and not self._is_spent else {}
        answers = [kept[name] if kept[name] is not None else asked.get(name) for name in names]
        seen: set[str] = set()
        for name, answer in zip(names, answers, strict=True):
            if answer is not None and (name not in asked or name in seen):
                self._count(cached=1)
            elif answer is None and name in asked:
                self._count(failed=1)
            elif answer is None:
                self._count(unasked=1)
            seen.add(name)
        return answers

    def plan(self, requests: Iterable[Request], planned: Usage = Usage()) -> Usage:
        """``planned`` and what ``ask`` would come to; nothing is sent. ``tokens`` is the most that it may cost."""
        names = set[str]()
        for request in requests:
            name = self._name(request)
            if name in names or self._kept(name) is not None:
                planned = replace(planned, cached=planned.cached + 1)
            elif self._affords(request.tokens_at_most, planned) and not planned.unasked:
                names.add(name)
                planned = replace(
                    planned, requests=planned.requests + 1, tokens=planned.tokens + request.tokens_at_most
                )
            else:
                planned = replace(planned, unasked=planned.unasked + 1)
        return planned

    async def _ask_all(self, waiting: Mapping[str, Request]) -> dict[str, str | None]:
        """Ask as many as are paid for; the answers of those, None where one failed."""
        answers: dict[str, str | None] = {}
        under_way: deque[tuple[str, int, asyncio.Task[tuple[str | None, int]]]] = deque()
        slots = asyncio.Semaphore(self._params.concurrency)

        async def settle_oldest() -> None:
            name, _, task = under_way.popleft()
            answers[name], tokens = await task
            self._failed_in_a_row = self._failed_in_a_row + 1 if answers[name] is None else 0
            self._count(tokens=tokens)

        async with self._client() as client, _one_error(), asyncio.TaskGroup() as group:
            for name, request in waiting.items():
                while len(under_way) >= _AHEAD * self._params.concurrency:
                    await settle_oldest()
                # Most answers are shorter than the longest: what is open may turn out to leave enough.
                while under_way and not self._affords(
                    request.tokens_at_most, Usage(tokens=sum(tokens for _, tokens, _ in under_way))
                ):
                    await settle_oldest()
                if self._failed_in_a_row >= _FAILURES_IN_A_ROW or not self._affords(request.tokens_at_most, Usage()):
                    self._is_spent = True
                    break
                self._count(requests=1)
                task = group.create_task(self._answer(client, slots, name, request))
                under_way.append((name, request.tokens_at_most, task))
            while under_way:
                await settle_oldest()
        return answers

    def _affords(self, tokens: int, open_: Usage) -> bool:
        requests = self._usage.requests + open_.requests
        return (
            not self._is_spent
            and requests < self._params.max_requests
            and self._usage.tokens + open_.tokens + tokens <= self._params.max_tokens
        )

    async def _answer(
        self, client: "AsyncOpenAI", slots: asyncio.Semaphore, name: str, request: Request
    ) -> tuple[str | None, int]:
        """The answer, kept on disk, or None after a failure; and the tokens it cost."""
        from openai import APIStatusError, OpenAIError

        async with slots:
            try:
                response = await client.chat.completions.with_raw_response.create(
                    model=self._params.model,
                    messages=cast("list[ChatCompletionMessageParam]", [dict(m) for m in request.messages]),
                    temperature=request.temperature,
                    seed=request.seed,
                    max_tokens=request.max_tokens,
                )
                answer, tokens = read_completion(response.text)
            except APIStatusError as error:
                words = self._told(words_of_refusal(error.body))
                passes = error.status_code >= 500 or error.status_code in _PASSING_STATUSES
                if not passes and error.code != _ABOUT_ONE_REQUEST:
                    raise ConfigError(
                        f"{self._section} refused with {error.status_code}: {words}; check its url and model, and the "
                        f"key in {self._params.key_env}"
                    ) from None
                return self._fail(f"{error.status_code}: {words}")
            except (OpenAIError, OSError) as error:
                cause = error.__cause__ or error
                return self._fail(self._told(f"{type(cause).__name__}: {cause}".rstrip(": ")))
            except ValueError as error:
                return self._fail(self._told(str(error)))
        if tokens is None:
            tokens = _tokens_of(answer, *(message["content"] for message in request.messages))
        if not answer:
            return self._fail("answered without text; a model that thinks aloud has to be told not to", tokens)
        kept = {"answer": answer, "model": self._params.model, "tokens": tokens}
        write_atomically(self._path(name), canonical_json(kept) + b"\n")
        return answer, tokens

    def _fail(self, why: str, tokens: int = 0) -> tuple[None, int]:
        self._last_failure = why
        return None, tokens

    def _name(self, request: Request) -> str:
        return digest_of(
            {
                "model": self._params.model,
                "messages": [dict(message) for message in request.messages],
                "temperature": request.temperature,
                "seed": request.seed,
                "max_tokens": request.max_tokens,
            }
        )

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / f"{name}.json"

    def _kept(self, name: str) -> str | None:
        try:
            answer = json.loads(self._path(name).read_bytes())["answer"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return answer if isinstance(answer, str) else None

    def _count(self, **more: int) -> None:
        self._usage = replace(self._usage, **{name: getattr(self._usage, name) + n for name, n in more.items()})

    def _told(self, words: str) -> str:
        """A server's words as a message may repeat them: on one line, not too long, and without the key."""
        words = " ".join((words if self._key == NO_KEY else words.replace(self._key, "[KEY]")).split())
        return words if len(words) <= _WORDS_CHARS else f"{words[:_WORDS_CHARS]}…"

    def _client(self) -> "AsyncOpenAI":
        from openai import AsyncOpenAI

        return AsyncOpenAI(
            base_url=self._params.url,
            api_key=self._key,
            max_retries=self._params.retries,
            timeout=self._params.timeout_s,
        )


@asynccontextmanager
async def _one_error() -> "AsyncIterator[None]":
    """Of the errors that a task group ends with, the first: it is the one that stopped the others."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def _tokens_of(*texts: str) -> int:
    return -(-sum(map(len, texts)) // _CHARS_A_TOKEN)
