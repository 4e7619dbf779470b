"""What is asked, what is paid for, and what comes back, whatever the server does."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from serin.clients.endpoint import Endpoint, Request, Usage
from serin.core.errors import ConfigError
from serin.core.params import EndpointParams

KEY = "sk-a1b2c3d4e5f6"


def request(text: str, **settings: Any) -> Request:
    return Request(
        ({"role": "user", "content": text},), **{"temperature": 0.5, "seed": 3, "max_tokens": 20, **settings}
    )


QUESTIONS = [request(f"q{n}") for n in range(6)]
ANSWERS = [f"answer to q{n}" for n in range(6)]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def endpoint(url: str, cache: Path, environment: dict[str, str] | None = None, **params: Any) -> Endpoint:
    params = {"retries": 1, "timeout_s": 20.0, **params}
    return Endpoint(EndpointParams(url=url, cache=str(cache), **params), environment or {})


def test_answers_come_in_the_order_of_the_questions_whoever_finishes_first(chat_server: Any, cache: Path) -> None:
    chat_server.answer = lambda _, q: chat_server.completion(f"answer to {q}", 10, delay_s=0.05 * (6 - int(q[1:])))
    asked = endpoint(chat_server.url, cache, concurrency=6)
    assert asked.ask(QUESTIONS) == ANSWERS
    assert asked.usage == Usage(requests=6, tokens=60)
    assert chat_server.times[5] - chat_server.times[0] < 0.3, "they were asked one after another"


def test_no_more_than_the_concurrency_is_under_way(chat_server: Any, cache: Path) -> None:
    chat_server.answer = lambda _, q: chat_server.completion(q, delay_s=0.1)
    endpoint(chat_server.url, cache, concurrency=2).ask(QUESTIONS)
    assert all(later - earlier > 0.09 for earlier, later in zip(chat_server.times, chat_server.times[2:], strict=False))


def test_what_is_sent_is_what_was_asked_for(chat_server: Any, cache: Path) -> None:
    endpoint(chat_server.url, cache, model="small").ask([request("q", temperature=0.25, seed=7, max_tokens=33)])
    messages = [{"role": "user", "content": "q"}]
    assert chat_server.asked == [
        {"model": "small", "messages": messages, "temperature": 0.25, "seed": 7, "max_tokens": 33}
    ]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_what_may_pass_is_tried_again(chat_server: Any, cache: Path, status: int) -> None:
    def answer(number: int, question: str) -> Any:
        busy = chat_server.Reply(status, {"error": {"message": "busy"}}, {"retry-after-ms": "20"})
        return busy if number < 2 else chat_server.completion(f"answer to {question}", 10)

    chat_server.answer = answer
    asked = endpoint(chat_server.url, cache, retries=2)
    assert asked.ask(QUESTIONS[:1]) == ANSWERS[:1]
    assert len(chat_server.asked) == 3
    assert asked.usage == Usage(requests=1, tokens=10)


def test_the_server_says_how_long_to_wait(chat_server: Any, cache: Path) -> None:
    busy = chat_server.Reply(429, {"error": {"message": "slow down"}}, {"retry-after": "1"})
    chat_server.answer = lambda number, _: busy if number == 0 else chat_server.completion("yes")
    assert endpoint(chat_server.url, cache).ask(QUESTIONS[:1]) == ["yes"]
    assert chat_server.times[1] - chat_server.times[0] >= 1.0


def test_pauses_grow_where_the_server_says_nothing(chat_server: Any, cache: Path) -> None:
    chat_server.answer = lambda number, _: (
        chat_server.completion("yes") if number == 2 else chat_server.Reply(500, "{}")
    )
    assert endpoint(chat_server.url, cache, retries=2).ask(QUESTIONS[:1]) == ["yes"]
    first, second, third = chat_server.times
    assert 0.3 < second - first < third - second


def test_a_failure_after_all_tries_is_no_answer_and_is_asked_again_next_time(chat_server: Any, cache: Path) -> None:
    def answer(_: int, question: str) -> Any:
        down = chat_server.Reply(503, {"error": {"message": f"overloaded, {KEY}"}}, {"retry-after-ms": "5"})
        return down if question == "q1" else chat_server.completion(f"answer to {question}", 10)

    chat_server.answer = answer
    asked = endpoint(chat_server.url, cache, {"OPENAI_API_KEY": KEY})
    assert asked.ask(QUESTIONS[:3]) == ["answer to q0", None, "answer to q2"]
    assert asked.usage == Usage(requests=3, failed=1, tokens=20)
    assert asked.last_failure == "503: overloaded, [KEY]"
    chat_server.forget()
    chat_server.answer = lambda _, q: chat_server.completion(f"answer to {q}", 10)
    again = endpoint(chat_server.url, cache)
    assert again.ask(QUESTIONS[:3]) == ANSWERS[:3]
    assert chat_server.questions == ["q1"]
    assert again.usage == Usage(requests=1, cached=2, tokens=10)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            401,
            {"error": {"message": f"Incorrect API key provided: {KEY}"}},
            r"401: Incorrect API key provided: \[KEY\];",
        ),
        (404, {"detail": "Not Found"}, "404: Not Found;"),
        (
            400,
            {"error": {"message": "The model `x` does not exist.", "code": 400}},
            "400: The model `x` does not exist",
        ),
        (405, "<html>Method Not Allowed</html>", "405: <html>Method Not Allowed"),
    ],
)
def test_a_refusal_ends_everything_at_once_with_the_servers_words(
    chat_server: Any, cache: Path, status: int, body: Any, words: str
) -> None:
    # The first question hangs: the refusal of the second must not wait for it.
    chat_server.answer = lambda _, q: (
        chat_server.completion("late", delay_s=30) if q == "q0" else chat_server.Reply(status, body)
    )
    began = time.monotonic()
    with pytest.raises(ConfigError, match=words) as refused:
        endpoint(chat_server.url, cache, {"OPENAI_API_KEY": KEY}).ask(QUESTIONS)
    assert time.monotonic() - began < 5
    assert KEY not in str(refused.value)
    assert len(chat_server.asked) <= 6


def test_a_text_that_the_service_screens_out_fails_alone(chat_server: Any, cache: Path) -> None:
    screened = chat_server.Reply(400, {"error": {"message": "filtered", "code": "content_filter"}})
    chat_server.answer = lambda _, q: screened if q == "q0" else chat_server.completion(f"answer to {q}")
    asked = endpoint(chat_server.url, cache)
    assert asked.ask(QUESTIONS) == [None, *ANSWERS[1:]]
    assert len(chat_server.asked) == 6, "a refusal is not tried again"
    assert (asked.usage.failed, asked.last_failure) == (1, "400: filtered")


def test_the_second_run_asks_nothing_also_at_another_address_with_another_key(chat_server: Any, cache: Path) -> None:
    assert endpoint(chat_server.url, cache, {"OPENAI_API_KEY": KEY}).ask(QUESTIONS) == ANSWERS
    chat_server.forget()
    again = endpoint(f"{chat_server.url}/moved", cache, {"OPENAI_API_KEY": "sk-other"})
    assert again.ask(QUESTIONS) == ANSWERS
    assert chat_server.asked == []
    assert again.usage == Usage(cached=6)


@pytest.mark.parametrize(
    "changed",
    [request("q0", seed=4), request("q0", temperature=0.6), request("q0", max_tokens=21), request("q0 ")],
    ids=["seed", "temperature", "max_tokens", "text"],
)
def test_another_question_is_asked(chat_server: Any, cache: Path, changed: Request) -> None:
    endpoint(chat_server.url, cache).ask(QUESTIONS)
    chat_server.forget()
    endpoint(chat_server.url, cache).ask([changed])
    assert len(chat_server.asked) == 1


def test_another_model_is_asked(chat_server: Any, cache: Path) -> None:
    endpoint(chat_server.url, cache, model="a").ask(QUESTIONS)
    assert endpoint(chat_server.url, cache, model="b").plan(QUESTIONS).requests == 6


def test_the_same_question_twice_is_paid_for_once(chat_server: Any, cache: Path) -> None:
    asked = endpoint(chat_server.url, cache)
    assert asked.ask([QUESTIONS[0], QUESTIONS[1], QUESTIONS[0]]) == ["answer to q0", "answer to q1", "answer to q0"]
    assert len(chat_server.asked) == 2
    assert asked.usage == Usage(requests=2, cached=1, tokens=20)


@pytest.mark.parametrize(
    "damaged", ["", '{"answer": "answ', "[]", '{"answer": 7}', '{"text": "x"}', "\udcff"], ids=repr
)
def test_a_damaged_answer_is_asked_anew(chat_server: Any, cache: Path, damaged: str) -> None:
    endpoint(chat_server.url, cache).ask(QUESTIONS)
    chat_server.forget()
    sorted(cache.rglob("*.json"))[2].write_bytes(damaged.encode(errors="surrogateescape"))
    assert endpoint(chat_server.url, cache).ask(QUESTIONS) == ANSWERS
    assert len(chat_server.asked) == 1
    assert endpoint(chat_server.url, cache).plan(QUESTIONS) == Usage(cached=6)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_killed_midway_has_paid_for_what_it_got(
    chat_server: Any, cache: Path, how: signal.Signals
) -> None:
    chat_server.answer = lambda number, q: chat_server.completion(
        f"answer to {q}", 10, delay_s=60 if number == 3 else 0
    )
    script = (
        "import sys\nfrom serin.clients.endpoint import Endpoint, Request\nfrom serin.core.params import EndpointParams\n"
        "params = EndpointParams(url=sys.argv[1], cache=sys.argv[2], concurrency=1)\n"
        "ask = lambda n: Request(({'role': 'user', 'content': f'q{n}'},), temperature=0.5, seed=3, max_tokens=20)\n"
        "Endpoint(params, {}).ask([ask(n) for n in range(6)])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, chat_server.url, str(cache)], env=os.environ, stderr=subprocess.PIPE
    ) as run:
        deadline = time.monotonic() + 60
        while len(chat_server.asked) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(how)
        run.wait(timeout=10)
    chat_server.forget()
    chat_server.answer = lambda _, q: chat_server.completion(f"answer to {q}", 10)
    again = endpoint(chat_server.url, cache, concurrency=1)
    assert again.ask(QUESTIONS) == ANSWERS
    assert chat_server.questions == ["q3", "q4", "q5"]
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".json"]


def test_beyond_the_requests_paid_for_nothing_is_asked(chat_server: Any, cache: Path) -> None:
    endpoint(chat_server.url, cache).ask(QUESTIONS[4:])
    chat_server.forget()
    asked = endpoint(chat_server.url, cache, max_requests=3)
    assert asked.ask(QUESTIONS[:2]) == ANSWERS[:2]
    assert asked.ask(QUESTIONS) == [*ANSWERS[:3], None, *ANSWERS[4:]]
    assert asked.usage == Usage(requests=3, cached=4, unasked=1, tokens=30)
    assert len(chat_server.asked) == 3


@pytest.mark.parametrize("slow", [0, 5])
def test_the_same_questions_are_paid_for_whoever_finishes_first(chat_server: Any, cache: Path, slow: int) -> None:
    # Each may cost 21 tokens and costs 11, so that 65 pay for five: 4 x 11 + 21 = 65. The sixth would begin at 55.
    chat_server.answer = lambda _, q: chat_server.completion(
        f"answer to {q}", 11, delay_s=0.2 if q == f"q{slow}" else 0.0
    )
    asked = endpoint(chat_server.url, cache, max_tokens=65)
    assert asked.ask(QUESTIONS) == [*ANSWERS[:5], None]
    assert asked.usage == Usage(requests=5, unasked=1, tokens=55)


def test_after_the_first_question_that_is_not_paid_for_cheaper_ones_are_not_asked_either(
    chat_server: Any, cache: Path
) -> None:
    questions = [request("x" * 400), QUESTIONS[0]]
    asked = endpoint(chat_server.url, cache, max_tokens=50)
    assert asked.plan(questions) == Usage(unasked=2)
    assert asked.ask(questions) == [None, None]
    assert asked.usage == Usage(unasked=2)
    assert chat_server.asked == []


@pytest.mark.parametrize("told", [None, 0])
def test_tokens_are_estimated_where_the_server_does_not_count_them(
    chat_server: Any, cache: Path, told: int | None
) -> None:
    chat_server.answer = lambda *_: chat_server.completion("x" * 31, told)
    asked = endpoint(chat_server.url, cache)
    asked.ask([request("y" * 10)])
    assert asked.usage.tokens == 21  # (31 + 10) / 2, rounded up


def test_a_plan_sends_nothing_and_says_what_a_run_would_ask(chat_server: Any, cache: Path) -> None:
    endpoint(chat_server.url, cache).ask(QUESTIONS[:2])
    chat_server.forget()
    files = sorted(cache.rglob("*"))
    planned = endpoint(chat_server.url, cache, max_requests=3)
    assert planned.plan([*QUESTIONS, QUESTIONS[2]]) == Usage(requests=3, cached=3, unasked=1, tokens=3 * 21)
    assert planned.usage == Usage()
    assert chat_server.asked == []
    assert sorted(cache.rglob("*")) == files
    assert endpoint(chat_server.url, cache, max_tokens=50).plan(QUESTIONS).requests == 2
    assert endpoint(chat_server.url, cache, max_requests=3).plan(QUESTIONS[4:], Usage(requests=2)).unasked == 1


def test_a_server_that_hangs_is_given_up(chat_server: Any, cache: Path) -> None:
    chat_server.answer = lambda _, q: chat_server.completion(q, delay_s=30 if q == "q0" else 0.0)
    asked = endpoint(chat_server.url, cache, timeout_s=0.3, retries=1)
    began = time.monotonic()
    assert asked.ask(QUESTIONS[:2]) == [None, "q1"]
    assert time.monotonic() - began < 10
    assert chat_server.questions.count("q0") == 2
    assert asked.last_failure is not None
    assert "Timeout" in asked.last_failure


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"choices": [{"mess', "expected a chat completion, found"),
        ("<html>Welcome</html>", "expected a chat completion, found '<html>Welcome"),
        ('{"choices": []}', "expected a chat completion"),
        ('"text"', "expected a chat completion"),
        ('{"choices": [{"message": {"content": null}}]}', "without text"),
        ('{"choices": [{"message": {"content": " "}}]}', "without text"),
        ('{"choices": [{"message": {"content": "<think>First I"}}]}', "thinks aloud"),
    ],
)
def test_a_garbled_answer_is_none(chat_server: Any, cache: Path, body: str, why: str) -> None:
    chat_server.answer = lambda _, q: chat_server.Reply(body=body) if q == "q0" else chat_server.completion("fine", 10)
    asked = endpoint(chat_server.url, cache)
    assert asked.ask(QUESTIONS[:2]) == [None, "fine"]
    assert asked.usage.failed == 1
    assert why in str(asked.last_failure)
    assert len(list(cache.rglob("*.json"))) == 1


def test_what_a_model_thinks_aloud_is_no_part_of_its_answer(chat_server: Any, cache: Path) -> None:
    chat_server.answer = lambda *_: chat_server.completion("<think>\nHm, [1] …\n</think>\n\nYes.")
    assert endpoint(chat_server.url, cache).ask(QUESTIONS[:1]) == ["Yes."]


def test_where_nobody_listens_the_rest_is_not_tried(cache: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        asked = endpoint(f"http://127.0.0.1:{port}/v1", cache, retries=0, concurrency=1)
        assert asked.ask([request(f"q{n}") for n in range(50)]) == [None] * 50
        first = asked.usage
        assert first.requests == first.failed == 50 - first.unasked
        assert 8 <= first.failed <= 12
        assert asked.ask(QUESTIONS) == [None] * 6
        assert asked.usage.unasked == first.unasked + 6
        assert "Connect" in str(asked.last_failure)


def test_the_key_goes_to_the_server_and_nowhere_else(
    chat_server: Any, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint(chat_server.url, cache, {"MY_KEY": KEY}, key_env="MY_KEY").ask(QUESTIONS)
    assert set(chat_server.keys) == {f"Bearer {KEY}"}
    assert KEY not in "".join(path.read_text() for path in cache.rglob("*.json")) + caplog.text
    assert KEY not in json.dumps(chat_server.asked)


@pytest.mark.parametrize("environment", [{}, {"OPENAI_API_KEY": ""}])
def test_a_server_that_needs_no_key_is_asked_without_one(
    chat_server: Any, cache: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)  # the environment that was passed in counts, not the process's own
    endpoint(chat_server.url, cache, environment).ask(QUESTIONS[:1])
    assert chat_server.keys == ["Bearer none"]


def test_what_cannot_work_is_refused_before_anything_is_sent(chat_server: Any, cache: Path) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds characters that no key has"):
        endpoint(chat_server.url, cache, {"OPENAI_API_KEY": "sk-…"})
    with pytest.raises(ConfigError, match=r"endpoint\.url is not set"):
        Endpoint(EndpointParams(), {})
    assert chat_server.asked == []
