"""A model behind an OpenAI-compatible endpoint, asked as its users ask it: greedily, through its own chat template."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from serin.core.conversation import Conversation
from serin.core.errors import ConfigError, RetryableError
from serin.evaluate.answers.answerer import RunTasks
from serin.evaluate.metrics.metric import Scores
from serin.lm.chat import IGNORED, render_examples
from serin.lm.generate import Answer
from serin.lm.load import load_stops, load_tokenizer
from serin.lm.score import Likelihood

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_RETRIES = 4
_LONGEST_WAIT_S = 300.0
_REVISION = "x-serin-revision"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a model is served."""

    url: str
    """Base address, such as ``http://127.0.0.1:8000/v1``."""
    model: str
    key: str = "none"
    concurrency: int = 16
    """Requests under way at once."""


class ServedModel:
    """Answers come from ``/chat/completions``; likelihoods from ``/completions`` with vLLM's ``prompt_logprobs``."""

    def __init__(self, address: Address, digest: str, max_new_tokens: int, folder: Path | None = None) -> None:
        """``folder`` is the model's, for its tokenizer; without one no likelihoods are told."""
        self._address, self._digest, self._folder = address, digest, folder
        self._max_new_tokens = max_new_tokens

    @property
    def identity(self) -> dict[str, str | int]:
        """The address is part of it: what answers there may be another build than here."""
        where = f"{self._address.url} {self._address.model}"
        return {"model": self._digest, "by": where, "max_new_tokens": self._max_new_tokens}

    def answers(self, questions: Sequence[Conversation]) -> Iterator[tuple[int, Answer]]:
        """Each question's index and its greedy answer, as they come.

        Raises:
            ConfigError: the endpoint refuses, or says that it serves another revision.
            RetryableError: it cannot be reached, or broke off.
        """
        return _as_they_come(self._address, [self._ask(question) for question in questions])

    def likelihoods(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Likelihood]]:
        """Each conversation's index and how likely its last turn is; raises as ``answers`` does."""
        if self._folder is None:
            return iter(())
        tokenizer = load_tokenizer(self._folder)
        stops = load_stops(self._folder, tokenizer)
        examples = [render_examples(tokenizer, c, stops)[-1] for c in conversations]
        return _as_they_come(self._address, [self._score(e.input_ids, e.labels) for e in examples])

    def score_tasks(self, run: RunTasks) -> Mapping[str, Scores]:  # noqa: ARG002 - the interface's, for models in this process
        """Nothing: tasks need the model itself."""
        return {}

    def close(self) -> None:
        """Nothing is held between questions."""

    def _ask(self, question: Conversation) -> "_Request":
        body: dict[str, Any] = {
            "messages": [turn.as_dict() for turn in question.prompt],
            "max_completion_tokens": self._max_new_tokens,
            "temperature": 0.0,
            "seed": 0,
        }
        if question.tools:
            body["tools"] = [dict(tool) for tool in question.tools]

        async def ask(client: "AsyncOpenAI") -> Answer:
            response = await client.chat.completions.with_raw_response.create(model=self._address.model, **body)
            self._refuse_another(response.headers)
            choice = response.parse().choices[0]
            stopped = choice.finish_reason in ("stop", "tool_calls")
            usage = response.parse().usage
            # The token that ended the answer counts for the server, and not here.
            tokens = usage.completion_tokens - stopped if usage else 0
            return Answer((choice.message.content or "").strip(), tokens, stopped)

        return ask

    def _score(self, ids: Sequence[int], labels: Sequence[int]) -> "_Request":
        async def score(client: "AsyncOpenAI") -> Likelihood | None:
            from openai import BadRequestError

            try:
                completion = await client.completions.create(
                    model=self._address.model,
                    prompt=list(ids),
                    max_tokens=1,
                    temperature=0.0,
                    extra_body={"prompt_logprobs": 0},
                )
            except BadRequestError:
                return None  # this server does not tell
            of_prompt = getattr(completion.choices[0], "prompt_logprobs", None)
            if of_prompt is None:
                return None
            found = [of_prompt[i][str(ids[i])]["logprob"] for i, label in enumerate(labels) if i and label != IGNORED]
            return Likelihood(-sum(found), len(found))

        return score

    def _refuse_another(self, headers: Mapping[str, str]) -> None:
        """Where the server says which revision it serves, it has to be the one that is evaluated."""
        told = headers.get(_REVISION)
        if told is not None and not self._digest.startswith(told.rpartition("@")[2]):
            raise ConfigError(
                f"{self._address.url} answers with the revision {told}, and {self._digest[:12]} is evaluated: ask the one "
                "that serves it"
            )


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    _Request = Callable[[AsyncOpenAI], Awaitable[Any]]


def _as_they_come(address: Address, requests: "Sequence[_Request]") -> Iterator[tuple[int, Any]]:
    """Send ``concurrency`` at once from a thread of its own, and hand over each reply as it arrives; None is left out."""
    replies: SimpleQueue[tuple[int, Any] | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            asyncio.run(_send(address, requests, replies))
        except BaseException as error:
            replies.put(error)
        replies.put(None)

    thread = Thread(target=work, daemon=True)
    thread.start()
    while (reply := replies.get()) is not None:
        if isinstance(reply, BaseException):
            raise _told(address, reply) from reply
        if reply[1] is not None:
            yield reply
    thread.join()


async def _send(
    address: Address,
    requests: "Sequence[_Request]",
    replies: "SimpleQueue[tuple[int, Any] | BaseException | None]",
) -> None:
    from openai import AsyncOpenAI

    slots = asyncio.Semaphore(address.concurrency)
    async with AsyncOpenAI(
        base_url=address.url, api_key=address.key, max_retries=_RETRIES, timeout=_LONGEST_WAIT_S
    ) as client:

        async def send(i: int, request: "_Request") -> None:
            async with slots:
                replies.put((i, await request(client)))

        tasks = [asyncio.ensure_future(send(i, request)) for i, request in enumerate(requests)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _told(address: Address, error: BaseException) -> BaseException:
    from openai import APIConnectionError, APIStatusError

    if isinstance(error, APIStatusError) and error.status_code < 500 and error.status_code not in (408, 409, 429):
        words = " ".join(str(error.message).split())[:300]
        return ConfigError(
            f"{address.url} refused with {error.status_code}: {words}; check --endpoint, --endpoint-model and the key"
        )
    if isinstance(error, (APIStatusError, APIConnectionError)):
        return RetryableError(
            f"{address.url} did not answer ({type(error).__name__}); the answers got so far are kept, run the command again"
        )
    return error
