"""Users of a rollout, over HTTP against a gateway that answers from a table."""

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from serin.core.conversation import Conversation
from serin.core.errors import RetryableError
from serin.rollout.users import Asking, Traffic, grade, play

PATTERN = r"Article (\d+)"


def question(text: str, reference: str) -> Conversation:
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": reference}]
    return Conversation.from_dict({"messages": turns, "meta": {"id": text, "language": "en"}})


RIGHT = question("How long is probation?", "Six months, says Article 19.")
OTHER = question("Who keeps a copy?", "Both sides, says Article 16.")


@dataclass
class FakeGateway:
    """Every second user is answered by the canary, which is always right; ``fails`` users get a 502."""

    users: list[str] = field(default_factory=list)
    feedback: dict[str, float] = field(default_factory=dict)
    fails: int = 0
    canary: Iterator[str | None] = field(default_factory=lambda: itertools.repeat(None))
    url: str = ""

    async def complete(self, request: web.Request) -> web.StreamResponse:
        self.users.append(request.headers["x-serin-user"])
        n = len(self.users)
        if n <= self.fails:
            return web.json_response({"error": {"message": "nobody answers", "type": "bad_gateway"}}, status=502)
        body = await request.json()
        asked = body["messages"][-1]["content"]
        text = {"How long is probation?": "It is Article 19.", "Who keeps a copy?": "Article 16."}[asked]
        revision = "tuned@1" if n % 2 else "base@1"
        text = text if n % 2 else "Article 99."
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream", "x-serin-revision": revision, "x-request-id": f"signed-{n}"}
        )
        await response.prepare(request)
        for piece in text.split(" "):
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "serin"}
            chunk["choices"] = [{"index": 0, "delta": {"content": f"{piece} "}, "finish_reason": None}]
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def score(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.feedback[body["request_id"]] = body["score"]
        return web.json_response({"status": "recorded"})

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"canary": next(self.canary)})


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    fake = FakeGateway()
    loop = asyncio.new_event_loop()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", fake.complete)
    app.router.add_post("/v1/feedback", fake.score)
    app.router.add_get("/healthz", fake.health)
    runner = web.AppRunner(app)

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield fake
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def ask(gateway: FakeGateway, requests: int | None, users: int = 1, seed: int = 3) -> dict[str, Any]:
    asking = Asking(gateway.url, [RIGHT, OTHER], PATTERN, max_tokens=16, timeout_s=10.0)
    return play(asking, users, requests, seed, lambda _: None).report()


def test_each_request_is_another_user_and_its_graded_answer_is_posted(gateway: FakeGateway) -> None:
    report = ask(gateway, 6, users=3)

    assert report["requests"] == 6
    assert report["errors"] == 0
    assert len(set(gateway.users)) == 6
    assert gateway.feedback == {f"signed-{n}": float(n % 2) for n in range(1, 7)}
    tuned = report["by_revision"]["tuned@1"]
    assert (tuned["requests"], tuned["mean_score"]) == (3, 1.0)
    assert report["by_revision"]["base@1"]["mean_score"] == 0.0
    assert tuned["ttft_p50_s"] > 0


def test_two_runs_are_not_the_same_users(gateway: FakeGateway) -> None:
    ask(gateway, 3)
    ask(gateway, 3)

    assert len(set(gateway.users)) == 6


def test_the_seed_draws_the_order_of_the_questions(gateway: FakeGateway) -> None:
    orders = {seed: [r["question"] for r in ask(gateway, 4, seed=seed)["replies"]] for seed in (1, 2, 3, 4, 5)}

    assert [r["question"] for r in ask(gateway, 4, seed=1)["replies"]] == orders[1]
    assert len({tuple(order) for order in orders.values()}) > 1
    assert all(set(order[:2]) == {RIGHT.id, OTHER.id} for order in orders.values())


def test_a_failed_request_counts_and_says_why(gateway: FakeGateway) -> None:
    gateway.fails = 2

    report = ask(gateway, 4)

    assert (report["requests"], report["errors"]) == (4, 2)
    assert report["error_messages"][0]["count"] == 2
    assert "nobody answers" in report["error_messages"][0]["message"]
    assert len(gateway.feedback) == 2


def test_until_decided_ends_after_the_canary_has_come_and_gone(gateway: FakeGateway) -> None:
    gateway.canary = itertools.chain([None, None, "tuned@1", "tuned@1"], itertools.repeat(None))

    report = ask(gateway, None, users=2)

    assert report["requests"] > 2
    assert next(gateway.canary) is None


def test_no_gateway_is_a_clear_error_to_try_again() -> None:
    asking = Asking("http://127.0.0.1:9", [RIGHT], PATTERN, max_tokens=16, timeout_s=2.0)

    with pytest.raises(RetryableError, match=r"no gateway answers at http://127.0.0.1:9 .*serin serve"):
        play(asking, 1, 1, 1, lambda _: None)


def test_grading_is_by_article_where_the_reference_cites_one_and_by_words_elsewhere() -> None:
    assert grade("It is Article 19, I think.", RIGHT, PATTERN) == 1.0
    assert grade("Six months, says Article 20.", RIGHT, PATTERN) == 0.0
    assert grade("both of the sides", question("Who?", "both sides"), PATTERN) == pytest.approx(2 / 3)
    assert grade("Six months, says Article 19.", RIGHT, None) == 1.0


def test_nobody_answered_is_reported_without_figures() -> None:
    assert Traffic(seed=1).report()["by_revision"] == {}
