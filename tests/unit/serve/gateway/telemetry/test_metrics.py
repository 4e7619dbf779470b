"""What Prometheus would see of requests that went well and badly."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from serin.core.params import TelemetryParams
from serin.serve.gateway.access.key_file import KeyFile
from serin.serve.gateway.access.keys import Limits, new_key
from serin.serve.gateway.refusals import Refusal
from serin.serve.gateway.telemetry.telemetry import Telemetry

from .....serving.fake_revisions import Behaviour
from .....serving.gateways import CANARY, OTHER, STABLE, Stand, stand, until


def telemetry(folder: Path) -> Telemetry:
    return Telemetry(TelemetryParams(metrics_port=None), "127.0.0.1", None, folder / "log", lambda: 1.0)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand(tmp_path / "state", telemetry(tmp_path)) as made:
        yield made


def seen(here: Stand) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    assert here.gateway.telemetry is not None
    text = generate_latest(here.gateway.telemetry.metrics.registry).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def value(here: Stand, name: str, **labels: str) -> float:
    found = [
        number
        for (metric, given), number in seen(here).items()
        if metric == f"serin_gateway_{name}" and labels.items() <= dict(given).items()
    ]
    return sum(found)


async def test_a_stream_counts_once_with_its_tokens_and_times(here: Stand) -> None:
    here.stable.behaviour = Behaviour(text="one two three", between_s=0.02)
    await here.chat(stream=True)
    await here.seen.told()
    path = "/v1/chat/completions"
    assert value(here, "requests_total", revision=STABLE, arm="stable", path=path, code="2xx") == 1
    assert value(here, "prompt_tokens_total", revision=STABLE) == 5
    assert value(here, "completion_tokens_total", revision=STABLE) == 3
    assert value(here, "ttft_seconds_count", revision=STABLE) == value(here, "tpot_seconds_count", revision=STABLE) == 1
    assert 0.02 <= value(here, "tpot_seconds_sum", revision=STABLE) < 5
    assert not value(here, "failures_total")


async def test_a_failover_counts_against_the_canary_and_its_tokens_for_stable(here: Stand) -> None:
    here.split(rollout="r1", canary=CANARY, canary_weight=1.0)
    here.canary.behaviour = Behaviour(status=500)
    await here.chat()
    await here.seen.told()
    assert value(here, "failures_total", revision=CANARY, arm="canary", kind="status_5xx") == 1
    assert value(here, "failovers_total", revision=CANARY) == 1
    assert value(here, "completion_tokens_total", revision=STABLE) == 4
    assert not value(here, "completion_tokens_total", revision=CANARY)
    assert not value(here, "ttft_seconds_count", revision=CANARY)


async def test_shadows_and_feedback_are_told_apart(here: Stand) -> None:
    here.split(shadow=OTHER, shadow_share=1.0)
    request_id = (await here.chat()).headers["x-request-id"]
    await here.seen.told(2)
    assert value(here, "requests_total", revision=OTHER, arm="shadow") == 1
    assert value(here, "requests_total", arm="stable") == 1
    async with here.http.post("/v1/feedback", json={"request_id": request_id, "score": 0.75}) as answer:
        assert answer.status == 200
    assert (value(here, "feedback_score_count"), value(here, "feedback_score_sum")) == (1, 0.75)


async def test_the_split_is_shown_and_what_is_gone_from_it_goes_to_zero(here: Stand) -> None:
    here.split(rollout="r1", canary=CANARY, canary_weight=0.25)
    await until(lambda: value(here, "arm_weight", revision=CANARY, arm="canary") == 0.25)
    assert value(here, "arm_weight", revision=STABLE, arm="stable") == 0.75
    assert value(here, "weights_version") == here.gateway.watcher.weights.version
    here.split(rollout=None, canary=None, canary_weight=0.0)
    await until(lambda: value(here, "arm_weight", revision=CANARY, arm="canary") == 0)
    assert value(here, "arm_weight", revision=STABLE, arm="stable") == 1.0


async def test_requests_under_way_are_shown_by_revision(here: Stand) -> None:
    here.stable.behaviour = Behaviour(hangs_after=1)
    async with here.http.post("/v1/completions", json={"prompt": "x", "stream": True}):
        await until(lambda: value(here, "in_flight", revision=STABLE) == 1)
    await until(lambda: value(here, "in_flight", revision=STABLE) == 0)
    (record,) = await here.seen.told()
    assert value(here, "failures_total", kind="client_closed") == 1
    assert record.kind == "client_closed"


def refused(here: Stand) -> dict[str, float]:
    """The reasons that were counted, all of which are shown from the start."""
    found = {
        dict(given)["reason"]: number for (name, given), number in seen(here).items() if name.endswith("refused_total")
    }
    assert found.keys() == set(get_args(Refusal))
    return {reason: number for reason, number in found.items() if number}


async def test_whom_the_guard_lets_not_in_is_counted_by_reason_and_named_nowhere(tmp_path: Path) -> None:
    file, now = KeyFile(tmp_path / "keys.json"), datetime.now(UTC)
    text, key = new_key("slow", ["inference"], Limits(requests_per_minute=10), now, None)
    busy_text, busy = new_key("busy", ["inference"], Limits(max_in_flight=1, tokens_per_minute=10), now, None)
    file.change(lambda keys: keys.with_key(key).with_key(busy))
    async with stand(tmp_path / "state", telemetry(tmp_path), access={"keys": str(file.path)}) as here:

        async def ask(given: str | None, path: str = "/v1/completions") -> int:
            headers = {} if given is None else {"authorization": f"Bearer {given}"}
            async with here.http.post(path, json={"prompt": "x" * 400}, headers=headers) as answer:
                return answer.status

        assert refused(here) == {}
        assert [await ask(None), await ask(None, "/no/such/path")] == [401, 401]
        assert await ask(text, "/admin/v1/drain") == 403
        assert [await ask(text), await ask(text)] == [200, 429]
        guesses = [await ask(f"serin-guess{n}") for n in range(12)]
        here.stable.behaviour = Behaviour(hangs_after=1)
        headers = {"authorization": f"Bearer {busy_text}"}
        async with here.http.post("/v1/completions", json={"prompt": "x", "stream": True}, headers=headers):
            assert await ask(busy_text) == 429
        await here.seen.told(2)
        assert await ask(busy_text) == 429
        assert refused(here) == {
            "no_key": 2,
            "scope": 1,
            "key_requests": 1,
            "wrong_key": guesses.count(401),
            "guessing": guesses.count(429),
            "key_in_flight": 1,
            "key_tokens": 1,
        }
        shown = str(seen(here))
        assert not any(word in shown for word in (key.id, busy.id, "serin-guess", "/no/such/path", "/admin"))
        assert value(here, "requests_total") == 2


async def test_what_comes_to_no_revision_is_counted_by_reason(here: Stand) -> None:
    async def ask(path: str = "/v1/completions", headers: dict[str, str] | None = None, **body: object) -> int:
        async with here.http.post(path, json=body, headers=headers) as answer:
            return answer.status

    assert await ask(headers={"origin": "https://elsewhere.example"}, prompt="x") == 403
    assert await ask(headers={"x-request-timeout": "never"}, prompt="x") == 400
    assert await ask(model="nobody", prompt="x") == 404
    here.gateway.watcher.starting = frozenset({"law@" + "c" * 64})
    async with here.http.post("/v1/completions", json={"prompt": "x", "model": "law@ccc"}) as answer:
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    request_id = (await here.chat()).headers["x-request-id"]
    assert await ask("/v1/feedback", request_id=f"made{request_id[4:]}", score=1.0) == 403
    here.split(stable=None)
    assert await ask(prompt="x") == 503
    here.gateway.relay.draining = True
    assert await ask(prompt="x") == 503
    await here.seen.told()
    counted = refused(here)
    assert counted == {"origin": 1, "body": 1, "model": 1, "starting": 1, "forged_id": 1, "no_stable": 1, "draining": 1}
    assert value(here, "requests_total") == 1
