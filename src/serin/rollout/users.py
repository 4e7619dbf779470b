"""Users for a rollout: they ask held-out questions through the gateway and post feedback graded by the references.

Every request is a user of its own, so that each is one unit of the evidence. What they saw is the clients' side of the
story: it counts as an error whatever an application would have had to handle.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, cast

from serin.core.conversation import Conversation
from serin.core.errors import RetryableError, UsageError
from serin.core.grading import cited_article, right_article, token_f1

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

PRODUCTION = "serin"
_POLL_S = 0.5
_ROLLOUT_WITHIN_S = 300.0
_SHOWN_ERRORS = 5


@dataclass(frozen=True, slots=True)
class Reply:
    """One user's request: when it was sent (seconds since the traffic began), who answered, and how well."""

    user: str
    question: str
    sent_s: float
    revision: str | None = None
    score: float | None = None
    ttft_s: float | None = None
    error: str | None = None


@dataclass(slots=True)
class Traffic:
    """What all users saw."""

    seed: int
    replies: list[Reply] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The figures by revision, and every reply."""
        answered = sorted({r.revision for r in self.replies if r.revision is not None})
        errors = Counter(r.error for r in self.replies if r.error is not None)
        return {
            "seed": self.seed,
            "requests": len(self.replies),
            "errors": errors.total(),
            "error_messages": [{"message": message, "count": n} for message, n in errors.most_common(_SHOWN_ERRORS)],
            "by_revision": {revision: self._figures(revision) for revision in answered},
            "replies": [asdict(reply) for reply in self.replies],
        }

    def _figures(self, revision: str) -> dict[str, Any]:
        mine = [r for r in self.replies if r.revision == revision]
        scores = [r.score for r in mine if r.score is not None]
        ttfts = [r.ttft_s for r in mine if r.ttft_s is not None]
        return {
            "requests": len(mine),
            "mean_score": fmean(scores) if scores else None,
            "ttft_p50_s": median(ttfts) if ttfts else None,
        }


def grade(answer: str, conversation: Conversation, article_pattern: str | None) -> float:
    """A user's feedback in [0, 1]: whether the cited article is right where the reference cites one, else token F1."""
    reference = conversation.reference
    if article_pattern is not None and cited_article(reference, article_pattern) is not None:
        return float(right_article(answer, reference, article_pattern))
    return token_f1(answer, reference, conversation.language)


@dataclass(frozen=True, slots=True)
class Asking:
    """What the users have in common: the gateway's address, the questions, and how answers are graded."""

    gateway: str
    questions: Sequence[Conversation]
    article_pattern: str | None
    max_tokens: int
    timeout_s: float


def play(asking: Asking, users: int, requests: int | None, seed: int, tell: Callable[[Traffic], None]) -> Traffic:
    """Ask with ``users`` at a time: ``requests`` in all, or (None) until a rollout has begun and been decided.

    Raises:
        RetryableError: no gateway answers at the address when the first user comes.
        UsageError: no rollout began within five minutes.
    """
    return asyncio.run(_play(asking, users, requests, seed, tell))


async def _play(
    asking: Asking, users: int, requests: int | None, seed: int, tell: Callable[[Traffic], None]
) -> Traffic:
    from openai import AsyncOpenAI

    traffic = Traffic(seed)
    began = time.monotonic()
    turns = _turns(seed, asking.questions, requests)
    # The gateway of one machine asks for no key; the client insists on having one.
    async with AsyncOpenAI(
        base_url=f"{asking.gateway}/v1", api_key="none", max_retries=0, timeout=asking.timeout_s
    ) as client:
        await _health(client)
        over = asyncio.Event()

        async def one_after_another() -> None:
            for user, question in turns:
                if over.is_set():
                    return
                traffic.replies.append(await _ask(client, asking, user, question, began))
                tell(traffic)

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(one_after_another()) for _ in range(users)]
            if requests is None:
                try:
                    await _rollout_decided(client)
                finally:
                    over.set()
            await asyncio.wait(asked)
    return traffic


def _turns(seed: int, questions: Sequence[Conversation], requests: int | None) -> Iterator[tuple[str, Conversation]]:
    """Users and their questions: each question once, in random order, before any comes again."""
    order = random.Random(seed)
    run = f"{seed}-{time.time_ns():x}"
    count = 0
    while True:
        for question in order.sample(list(questions), len(questions)):
            if count == requests:
                return
            yield f"user-{run}-{count}", question
            count += 1


async def _ask(client: "AsyncOpenAI", asking: Asking, user: str, question: Conversation, began: float) -> Reply:
    from openai import OpenAIError

    sent = time.monotonic()
    reply = Reply(user, question.id, round(sent - began, 3))
    ttft_s, text = None, []
    try:
        response = await client.chat.completions.with_raw_response.create(
            model=PRODUCTION,
            messages=[{"role": m.role, "content": m.content} for m in question.prompt],  # type: ignore[misc]  # by role
            max_tokens=asking.max_tokens,
            temperature=0.0,
            stream=True,
            extra_headers={"x-serin-user": user},
        )
        async for chunk in cast("AsyncStream[ChatCompletionChunk]", response.parse()):
            if ttft_s is None:
                ttft_s = round(time.monotonic() - sent, 4)
            text += [choice.delta.content or "" for choice in chunk.choices]
        revision = response.headers["x-serin-revision"]
        score = grade("".join(text), question, asking.article_pattern)
        feedback = {"request_id": response.headers["x-request-id"], "score": score}
        await client.post("/feedback", body=feedback, cast_to=object)
    except (OpenAIError, OSError, KeyError, ValueError) as error:
        return replace(reply, error=f"{type(error).__name__}: {error}")
    return replace(reply, revision=revision, score=score, ttft_s=ttft_s)


async def _health(client: "AsyncOpenAI") -> dict[str, Any]:
    from openai import OpenAIError

    address = str(client.base_url).removesuffix("/v1/")
    try:
        found = await client.get(f"{address}/healthz", cast_to=dict[str, Any])
    except (OpenAIError, OSError, ValueError) as error:
        raise RetryableError(f"no gateway answers at {address} ({error}): start one with 'serin serve'") from error
    return found


async def _rollout_decided(client: "AsyncOpenAI") -> None:
    """Return when a canary has been offered and the gateway splits no more."""
    deadline = time.monotonic() + _ROLLOUT_WITHIN_S
    while (await _health(client))["canary"] is None:
        if time.monotonic() > deadline:
            raise UsageError(
                f"no rollout began within {_ROLLOUT_WITHIN_S:.0f} s: run 'serin rollout start REVISION' beside the traffic, "
                "or ask for a number of requests with --requests"
            )
        await asyncio.sleep(_POLL_S)
    while (await _health(client))["canary"] is not None:
        await asyncio.sleep(_POLL_S)
