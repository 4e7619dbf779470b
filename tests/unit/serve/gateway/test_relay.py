"""The data path, over real HTTP: a gateway under uvicorn, and revisions that answer as they are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI, OpenAI

from ....serving.fake_revisions import Behaviour
from ....serving.gateways import CANARY, OTHER, STABLE, Stand, stand, until

HANGS = Behaviour(hangs_after=0)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand(tmp_path, request_timeout_s=20.0, canary_first_byte_timeout_s=0.5) as made:
        yield made
        admission = made.gateway.relay.admission
        await until(lambda: not admission.under_way and not admission.by_revision)


@pytest.fixture
async def canary(here: Stand) -> Stand:
    """Everybody is assigned to the canary."""
    here.split(rollout="r1", canary=CANARY, canary_weight=1.0)
    return here


async def test_what_the_client_sent_reaches_the_revision_byte_for_byte(here: Stand) -> None:
    messages = b'"messages": [{"role":"user","content":"\\u00fc  "}]'
    body = b'{ "model":"serin", ' + messages + b', "temperature": 1.10, "seed": 12345678901234567890123 }'
    async with here.http.post("/v1/chat/completions", data=body) as answer:
        assert answer.status == 200
    asked = here.stable.asked[0]
    assert asked.body.startswith(body.rstrip(b" }"))
    assert asked.value == {**json.loads(body), "model": STABLE}
    assert asked.headers["x-request-id"] == (await here.seen.told())[0].identity.nonce


@pytest.mark.parametrize("asked_for_usage", [True, False])
async def test_a_stream_says_what_it_used_to_the_gateway_and_to_the_client_who_asked(
    here: Stand, asked_for_usage: bool
) -> None:
    options = {"stream_options": {"include_usage": True}} if asked_for_usage else {}
    answer = await here.chat(stream=True, **options)
    events = (await answer.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    values = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert "".join(v["choices"][0]["delta"]["content"] for v in values if v["choices"]) == "as good as new"
    assert [v["usage"]["completion_tokens"] for v in values if "usage" in v] == ([4] if asked_for_usage else [])
    assert all(v["choices"] for v in values) is not asked_for_usage
    record = (await here.seen.told())[0]
    assert (record.prompt_tokens, record.completion_tokens, record.streamed) == (5, 4, True)
    assert record.kind is None
    assert record.tpot_s is not None


async def test_continuous_usage_is_left_as_it_is(here: Stand) -> None:
    asked = {"include_usage": True, "continuous_usage_stats": True}
    answer = await here.chat(stream=True, stream_options=asked)
    assert here.stable.asked[0].value["stream_options"] == asked
    assert (await answer.text()).count('"usage"') == 5
    assert (await here.seen.told())[0].completion_tokens == 4


async def test_one_answer_says_what_it_used(here: Stand) -> None:
    answer = await here.chat(n=2)
    assert len((await answer.json())["choices"]) == 2
    record = (await here.seen.told())[0]
    assert (record.prompt_tokens, record.completion_tokens, record.streamed) == (5, 4, False)


async def test_every_answer_names_revision_and_id(here: Stand) -> None:
    here.split(stable=OTHER)
    statuses = {}
    for behaviour in (
        Behaviour(),
        Behaviour(status=400),
        Behaviour(status=500),
        Behaviour(status=429),
        Behaviour(breaks_after=0),
    ):
        here.revisions[OTHER].behaviour = behaviour
        answer = await here.chat()
        assert answer.headers["x-serin-revision"] == OTHER
        assert answer.headers["x-request-id"].count(".") == 2
        statuses[behaviour.status, behaviour.breaks_after] = answer.status
    assert statuses == {(200, None): 200, (400, None): 400, (500, None): 500, (429, None): 429, (200, 0): 503}


@pytest.mark.parametrize("path", ["/v1/embeddings", "/tokenize", "/v1/completions", "/rerank"])
async def test_other_paths_are_relayed_too(here: Stand, path: str) -> None:
    async with here.http.post(path, json={"model": "law-qa", "input": "x", "prompt": "x"}) as answer:
        assert answer.status == 200
    assert here.stable.asked[0].path == path


async def test_unknown_paths_and_methods_and_models(here: Stand) -> None:
    for method, path, status in [
        ("POST", "/v1/nothing", 404),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/sleep", 404),
        ("GET", "/v1/models/law-qa", 200),
        ("GET", f"/v1/models/{STABLE}", 200),
        ("GET", "/v1/models/nobody", 404),
    ]:
        async with here.http.request(method, path, json={}) as answer:
            assert answer.status == status, path
    assert here.stable.asked == []


async def test_what_no_revision_has_is_the_clients_fault_and_what_the_canary_lacks_is_the_canarys(
    canary: Stand,
) -> None:
    canary.canary.behaviour = canary.stable.behaviour = Behaviour(status=404)
    assert (await canary.chat()).status == 404
    canary.stable.behaviour = Behaviour()
    assert (await canary.chat()).status == 200
    both, alone = await canary.seen.told(2)
    assert (both.error, both.kind) == (False, "bad_request")
    assert (alone.error, alone.kind, alone.failover) == (True, "refused", True)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Behaviour(breaks_after=0), "unreachable"),
        (HANGS, "timeout"),
        (Behaviour(status=500), "status_5xx"),
        (Behaviour(status=503), "status_5xx"),
        (Behaviour(status=429), "throttled"),
        (Behaviour(status=401), "refused"),
        (Behaviour(error_after=0), "stream_error"),
        (Behaviour(garbage_after=0), "garbage"),
    ],
)
async def test_stable_answers_where_the_canary_fails_before_its_first_byte(
    canary: Stand, behaviour: Behaviour, kind: str
) -> None:
    canary.canary.behaviour = behaviour
    answer = await canary.chat(stream=True)
    assert (answer.status, answer.headers["x-serin-revision"]) == (200, STABLE)
    assert (await answer.text()).endswith("data: [DONE]\n\n")
    record = (await canary.seen.told())[0]
    assert (record.kind, record.error, record.failover) == (kind, True, True)
    assert (record.identity.arm, record.identity.revision) == ("canary", CANARY)
    assert record.ttft_s is None
    assert record.tpot_s is None
    await until(lambda: canary.canary.running == 0)


@pytest.mark.parametrize(
    "behaviour", [Behaviour(breaks_after=1), Behaviour(garbage_after=0), Behaviour(breaks_after=0)]
)
async def test_stable_answers_where_an_answer_of_one_piece_is_not_whole(canary: Stand, behaviour: Behaviour) -> None:
    canary.canary.behaviour = behaviour
    answer = await canary.chat()
    assert (answer.status, answer.headers["x-serin-revision"]) == (200, STABLE)
    assert (await canary.seen.told())[0].failover


async def test_a_canary_that_does_not_run_is_not_asked(canary: Stand) -> None:
    canary.gateway.watcher.running = frozenset({STABLE})
    assert (await canary.chat()).headers["x-serin-revision"] == STABLE
    assert canary.canary.asked == []
    assert (await canary.seen.told())[0].kind == "unreachable"


async def test_the_clients_own_deadline_leaves_half_of_it_to_stable(canary: Stand) -> None:
    canary.canary.behaviour = HANGS
    answer = await canary.chat({"x-request-timeout": "0.6"})
    assert (answer.status, answer.headers["x-serin-revision"]) == (200, STABLE)


async def test_a_deadline_answers_504_and_nonsense_400(here: Stand) -> None:
    here.stable.behaviour = HANGS
    assert (await here.chat({"x-request-timeout": "0.2"})).status == 504
    for given in ("soon", "0", "-1", "nan"):
        assert (await here.chat({"x-request-timeout": given})).status == 400
    assert [r.kind for r in here.seen.records] == ["timeout"]
    await until(lambda: here.stable.running == 0)


async def test_stable_is_asked_once_more_where_the_connection_failed(here: Stand) -> None:
    here.stable.behaviour = Behaviour(breaks_after=0)

    async def recover() -> None:
        await until(lambda: len(here.stable.asked) == 1)
        here.stable.behaviour = Behaviour()

    here.stable.behaviour = Behaviour(breaks_after=0, first_after_s=0.2)
    recovering = asyncio.create_task(recover())
    assert (await here.chat()).status == 200
    await recovering
    record = (await here.seen.told())[0]
    assert (record.error, record.kind) == (False, None)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Behaviour(breaks_after=2), "broken_stream"),
        (Behaviour(garbage_after=2, between_s=0.05), "garbage"),
        (Behaviour(without_done=True), "broken_stream"),
        (Behaviour(hangs_after=2), "stalled"),
    ],
)
async def test_what_breaks_in_midstream_never_looks_complete(tmp_path: Path, behaviour: Behaviour, kind: str) -> None:
    async with stand(tmp_path, stall_timeout_s=0.4) as here:
        here.stable.behaviour = behaviour
        got = bytearray()
        with pytest.raises(aiohttp.ClientPayloadError):
            await read_stream(here, got)
        assert got.endswith(b"\n\n")
        assert b"[DONE]" not in got
        record = (await here.seen.told())[0]
        assert (record.kind, record.error, record.status) == (kind, True, 200)
        assert record.ttft_s is not None
        await until(lambda: here.stable.running == 0)


async def read_stream(here: Stand, into: bytearray) -> None:
    async with here.http.post("/v1/chat/completions", json={"stream": True, "messages": []}) as answer:
        async for chunk in answer.content.iter_any():
            into += chunk


async def test_an_error_in_midstream_is_told_and_counted(here: Stand) -> None:
    here.stable.behaviour = Behaviour(error_after=2)
    answer = await here.chat(stream=True)
    assert "told to fail" in await answer.text()
    assert [(r.kind, r.error) for r in await here.seen.told()] == [("stream_error", True)]


@pytest.mark.parametrize("behaviour", [HANGS, Behaviour(hangs_after=1), Behaviour(first_after_s=60)])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_the_revision(here: Stand, behaviour: Behaviour, stream: bool) -> None:
    here.stable.behaviour = behaviour
    asking = asyncio.create_task(here.chat(stream=stream))
    await until(lambda: here.stable.running == 1)
    asking.cancel()
    await until(lambda: here.stable.running == 0, timeout_s=10)
    record = (await here.seen.told())[0]
    assert (record.status, record.kind, record.error) == (499, "client_closed", False)


async def test_a_client_that_leaves_stops_the_shadow_too(here: Stand) -> None:
    here.split(shadow=CANARY, shadow_share=1.0)
    here.stable.behaviour = here.canary.behaviour = HANGS
    asking = asyncio.create_task(here.chat())
    await until(lambda: here.canary.running == 1 and here.stable.running == 1)
    asking.cancel()
    await until(lambda: here.canary.running == 0, timeout_s=10)


async def test_a_shadow_is_asked_the_same_and_its_failure_is_nobodys(here: Stand) -> None:
    here.split(shadow=CANARY, shadow_share=1.0)
    here.canary.behaviour = Behaviour(status=500)
    assert (await here.chat(stream=True)).headers["x-serin-revision"] == STABLE
    records = sorted(await here.seen.told(2), key=lambda r: r.shadow)
    assert [(r.shadow, r.error, r.identity.revision) for r in records] == [(False, False, STABLE), (True, True, CANARY)]
    assert here.canary.asked[0].value["messages"] == here.stable.asked[0].value["messages"]
    assert here.state.evidence_path("test").read_text().count("\n") == 1


async def test_a_hanging_shadow_delays_nobody_and_too_many_are_dropped(tmp_path: Path) -> None:
    async with stand(tmp_path, max_shadows=2) as here:
        here.split(shadow=CANARY, shadow_share=1.0)
        here.canary.behaviour = HANGS
        for _ in range(5):
            assert (await here.chat()).status == 200
        await until(lambda: here.canary.running == 2)
        assert sum(r.kind == "dropped" for r in here.seen.records) == 3


async def test_beyond_its_bounds_the_gateway_answers_429_at_once(tmp_path: Path) -> None:
    async with stand(tmp_path, max_in_flight=2) as here:
        here.stable.behaviour = HANGS
        waiting = [asyncio.create_task(here.chat()) for _ in range(2)]
        await until(lambda: here.stable.running == 2)
        refused = await here.chat()
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert refused.headers["x-serin-revision"] == STABLE
        for task in waiting:
            task.cancel()
        await until(lambda: here.stable.running == 0)
        here.stable.behaviour = Behaviour()
        assert (await here.chat()).status == 200


async def test_a_full_canary_is_helped_by_stable_and_a_full_stable_answers_429(tmp_path: Path) -> None:
    async with stand(tmp_path, max_in_flight_per_revision=1) as here:
        here.split(rollout="r1", canary=CANARY, canary_weight=1.0)
        here.stable.behaviour = here.canary.behaviour = HANGS
        waiting = [asyncio.create_task(here.chat(stream=True))]
        await until(lambda: here.canary.running == 1)
        waiting.append(asyncio.create_task(here.chat(stream=True)))
        await until(lambda: here.stable.running == 1)
        refused = await here.chat()
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_slow_reader_holds_the_revision_back_and_is_cut_off(tmp_path: Path) -> None:
    async with stand(tmp_path, client_stall_timeout_s=1.0) as here:
        here.stable.behaviour = Behaviour(text=" ".join(["x" * 5000] * 20_000))
        host, port = here.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        body = b'{"stream":true,"messages":[]}'
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        record = (await here.seen.told())[0]
        assert (record.kind, record.error) == ("client_stalled", False)
        await until(lambda: here.stable.running == 0)
        assert here.stable.sent_chunks < 10_000
        writer.transport.abort()


async def test_a_slow_reader_who_reads_gets_everything(tmp_path: Path) -> None:
    async with stand(tmp_path, client_stall_timeout_s=2.0, stall_timeout_s=2.0) as here:
        here.stable.behaviour = Behaviour(text=" ".join(["x" * 5000] * 400))
        got = b""
        async with here.http.post("/v1/chat/completions", json={"stream": True, "messages": []}) as answer:
            while chunk := await answer.content.read(400_000):
                got += chunk
                await asyncio.sleep(0.3)
        assert got.endswith(b"data: [DONE]\n\n")
        assert (await here.seen.told())[0].kind is None


async def test_the_official_clients(here: Stand) -> None:
    here.split(rollout="r1", canary=CANARY, canary_weight=0.5)
    messages: Any = [{"role": "user", "content": "How long?"}]

    def ask() -> str | None:
        with OpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client:
            pieces = client.chat.completions.create(model="serin", messages=messages, stream=True)
            streamed = "".join(chunk.choices[0].delta.content or "" for chunk in pieces)
            whole = client.chat.completions.create(model="law-qa", messages=messages).choices[0].message.content
            assert streamed == whole
            assert client.completions.create(model="serin", prompt="x").choices[0].text == whole
            assert client.embeddings.create(model="serin", input="x", encoding_format="float").data[0].embedding == [
                0.1,
                0.2,
            ]
            assert client.models.retrieve("law-qa").id == "law-qa"
            return whole

    whole = await asyncio.to_thread(ask)
    async with AsyncOpenAI(base_url=f"{here.url}/v1", api_key="none", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="serin", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].usage is not None
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole


async def test_an_observer_that_wants_bodies_gets_them(here: Stand) -> None:
    here.seen.bodies = True
    await here.chat(stream=True)
    bodies = (await here.seen.told())[0].bodies
    assert bodies is not None
    assert json.loads(bodies.request)["model"] == "serin"
    assert bodies.answer.endswith(b"[DONE]\n\n")
