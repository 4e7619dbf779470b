"""Keys and limits as a client meets them, over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI, AuthenticationError, RateLimitError

from serin.core.params import ServeParams
from serin.serve.gateway.access.key_file import KeyFile
from serin.serve.gateway.access.keys import Limits, Scope, new_key

from .....serving.fake_revisions import Behaviour
from .....serving.gateways import CANARY, STABLE, Stand, stand, until

CHAT = {"model": "serin", "messages": [{"role": "user", "content": "How long?"}]}


class Keyed:
    """A gateway that asks for keys, and the file of them."""

    def __init__(self, here: Stand, file: KeyFile) -> None:
        self.here = here
        self.file = file

    def key(self, *scopes: Scope, days: float = 1.0, **limits: Any) -> str:
        now = datetime.now(UTC)
        text, key = new_key("k", scopes or ("inference",), Limits(**limits), now, now + timedelta(days=days))
        self.file.change(lambda keys: keys.with_key(key))
        watched = self.here.gateway.access.watched
        assert watched is not None
        watched.poll()
        return text

    async def ask(self, key: str | None, method: str = "POST", path: str = "/v1/chat/completions", **body: Any) -> Any:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        async with self.here.http.request(method, path, json=body or CHAT, headers=headers) as answer:
            await answer.read()
            return answer


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[Keyed]:
    file = KeyFile(tmp_path / "keys.json")
    _, nobodys = new_key("first", ["inference"], Limits(), datetime.now(UTC), None)
    file.change(lambda keys: keys.with_key(nobodys))
    async with stand(tmp_path / "state", access={"keys": str(file.path)}) as here:
        yield Keyed(here, file)


async def test_only_a_key_in_force_is_let_in(keyed: Keyed) -> None:
    key, late = keyed.key(), keyed.key(days=-0.01)
    assert (await keyed.ask(key)).status == 200
    for wrong in (None, key[:-1], key + "x", late, "é" * 40):
        answer = await keyed.ask(wrong)
        assert answer.status == 401
        assert answer.headers["x-request-id"]
        assert answer.headers["www-authenticate"] == "Bearer"
    headers = {"x-api-key": key}
    async with keyed.here.http.post("/v1/messages", json=CHAT, headers=headers) as answer:
        assert answer.status == 200
    assert len(keyed.here.stable.asked) == 2
    assert all(
        "authorization" not in asked.headers and key not in str(asked.headers) for asked in keyed.here.stable.asked
    )
    async with AsyncOpenAI(base_url=f"{keyed.here.url}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(AuthenticationError, match="not known here"):
            await client.models.list()


async def test_every_path_but_two_takes_a_key_of_its_scope(keyed: Keyed) -> None:
    texts = {scope: keyed.key(scope) for scope in ("inference", "feedback", "override", "admin")}
    needed = {
        ("POST", "/v1/chat/completions"): "inference",
        ("GET", "/v1/models"): "inference",
        ("GET", "/nothing"): "inference",
        ("POST", "/v1/feedback"): "feedback",
        ("GET", "/admin/v1/state"): "admin",
        ("GET", "/admin/v1/nothing"): "admin",
        ("POST", "/admin/v1/resume"): "admin",
    }
    for (method, path), scope in needed.items():
        assert (await keyed.ask(None, method, path)).status == 401, path
        for name, text in texts.items():
            status = (await keyed.ask(text, method, path)).status
            assert (status != 403) == (name == scope), (path, name, status)
    for path in ("/healthz", "/openapi.json"):
        assert (await keyed.ask(None, "GET", path)).status == 200


async def test_choosing_a_revision_takes_the_scope_for_it(keyed: Keyed) -> None:
    for scopes, status in ((("inference",), 403), (("inference", "override"), 200)):
        answer = await keyed.ask(keyed.key(*scopes), model=CANARY, messages=[])  # type: ignore[arg-type] # literals
        assert answer.status == status


async def test_the_limit_of_requests_says_when_to_come_back(keyed: Keyed) -> None:
    key, other = keyed.key(requests_per_minute=20), keyed.key(requests_per_minute=20)
    assert [(await keyed.ask(key)).status for _ in range(3)] == [200, 200, 429]
    refused = await keyed.ask(key)
    assert refused.headers["x-ratelimit-limit-requests"] == "20"
    assert 0 < float(refused.headers["x-ratelimit-reset-requests"].rstrip("s")) <= 3.0
    assert 1 <= int(refused.headers["retry-after"]) <= 3
    assert refused.headers["x-request-id"]
    assert (await keyed.ask(other)).headers["x-ratelimit-limit-requests"] == "20"
    async with AsyncOpenAI(base_url=f"{keyed.here.url}/v1", api_key=key, max_retries=0) as client:
        with pytest.raises(RateLimitError):
            await client.models.list()


async def test_tokens_are_charged_by_the_estimate_and_settled_by_what_was_used(keyed: Keyed) -> None:
    key = keyed.key(tokens_per_minute=10_000)
    keyed.here.stable.behaviour = Behaviour(text="one two three", first_after_s=0.3)
    asking = asyncio.create_task(keyed.ask(key, **CHAT, max_tokens=900))
    await until(lambda: keyed.here.stable.running == 1)
    assert (await keyed.ask(key, **CHAT, max_tokens=900)).status == 429
    assert (await asking).status == 200
    await keyed.here.seen.told()
    assert [(await keyed.ask(key, **CHAT, max_tokens=900)).status for _ in range(5)] == [200] * 5


async def test_who_leaves_before_the_end_pays_what_was_asked_for(keyed: Keyed) -> None:
    key = keyed.key(tokens_per_minute=10_000)
    keyed.here.stable.behaviour = Behaviour(text="one two three", between_s=5.0)
    timeout = aiohttp.ClientTimeout(total=0.5)
    headers = {"authorization": f"Bearer {key}"}
    body = {**CHAT, "max_tokens": 950, "stream": True}
    with pytest.raises(TimeoutError):
        async with keyed.here.http.post("/v1/chat/completions", json=body, headers=headers, timeout=timeout) as answer:
            await answer.read()
    await keyed.here.seen.told()
    keyed.here.stable.behaviour = Behaviour()
    assert (await keyed.ask(key, **CHAT, max_tokens=950)).status == 429


async def test_a_request_that_failed_costs_no_tokens(keyed: Keyed) -> None:
    key = keyed.key(tokens_per_minute=10_000)
    keyed.here.stable.behaviour = Behaviour(status=500)
    assert [(await keyed.ask(key, **CHAT, max_tokens=900)).status for _ in range(5)] == [500] * 5
    another = keyed.key(tokens_per_minute=10_000)
    keyed.here.stable.behaviour = Behaviour(status=400)
    assert (await keyed.ask(another, **CHAT, max_tokens=900, n=10**18)).status == 400
    await keyed.here.gateway.access.limiter.return_surplus()
    assert (await keyed.ask(another, **CHAT, max_tokens=900, n=10**9)).status == 400


async def test_answers_are_no_longer_than_the_key_may_have(keyed: Keyed) -> None:
    key = keyed.key(max_output_tokens=50)
    assert (await keyed.ask(key)).status == 200
    assert keyed.here.stable.asked[-1].value["max_completion_tokens"] == 50
    for asked in (50, 1, 0):
        assert (await keyed.ask(key, **CHAT, max_tokens=asked)).status == 200
        assert "max_completion_tokens" not in keyed.here.stable.asked[-1].value
    for asked in (51, 10**30, "51", 50.5, True, [50]):
        assert (await keyed.ask(key, **CHAT, max_tokens=asked)).status == 400, asked
        assert (await keyed.ask(key, **CHAT, max_tokens=1, max_completion_tokens=asked)).status == 400, asked


async def test_bodies_and_requests_under_way_are_bounded_by_key(keyed: Keyed) -> None:
    key = keyed.key(max_body_bytes=200, max_in_flight=1)
    assert (await keyed.ask(key, **CHAT, user="u" * 300)).status == 413
    keyed.here.stable.behaviour = Behaviour(first_after_s=0.5)
    asking = asyncio.create_task(keyed.ask(key))
    await until(lambda: keyed.here.stable.running == 1)
    assert (await keyed.ask(key)).status == 429
    assert (await asking).status == 200
    assert (await keyed.ask(key)).status == 200


async def test_keys_without_a_user_are_units_and_nobody_passes_for_one(keyed: Keyed) -> None:
    key = keyed.key()
    key_id = key.split("-")[1]
    await keyed.ask(key)
    await keyed.ask(key)
    await keyed.ask(key, **CHAT, user=f"key\x00{key_id}")
    first, second, forged = await keyed.here.seen.told(3)
    assert first.identity.unit == second.identity.unit != forged.identity.unit
    assert first.caller == key_id


async def test_guessing_is_slowed_down_and_does_not_hold_up_who_has_a_key(keyed: Keyed) -> None:
    key = keyed.key()
    told = [(await keyed.ask(f"serin-{n}")).status for n in range(12)]
    assert told[:6] == [401] * 6
    assert 429 in told
    assert (await keyed.ask(key)).status == 200


async def test_an_operator_sees_the_replica_and_drains_it(keyed: Keyed) -> None:
    admin, key = keyed.key("admin"), keyed.key(requests_per_minute=600)
    async with keyed.here.http.get("/admin/v1/state", headers={"authorization": f"Bearer {admin}"}) as answer:
        state = await answer.json()
    assert (state["weights"]["stable"], state["draining"], state["in_flight"]) == (STABLE, False, 0)
    assert {"id": key.split("-")[1], "limits": {"requests_per_minute": 600.0}}.items() <= state["keys"][2].items()
    assert "sha256" not in str(state)
    assert (await keyed.ask(admin, "POST", "/admin/v1/drain")).status == 200
    assert (await keyed.ask(key)).status == 503
    assert (await keyed.ask(admin, "POST", "/admin/v1/resume")).status == 200
    assert (await keyed.ask(key)).status == 200


async def test_where_others_reach_a_gateway_without_keys_there_are_no_operators(tmp_path: Path) -> None:
    for access, status in (({}, 200), ({"open": True}, 403)):
        async with stand(tmp_path / str(status), access=access) as here, here.http.get("/admin/v1/state") as answer:
            assert answer.status == status


def test_params_refuse_to_let_others_in_without_keys_unless_told() -> None:
    for host in ("0.0.0.0", "", "::", "10.0.0.1", "gateway.example"):
        with pytest.raises(ValueError, match=r"access\.keys"):
            ServeParams.model_validate({"host": host})
        ServeParams.model_validate({"host": host, "access": {"open": True}})
        ServeParams.model_validate({"host": host, "access": {"keys": "keys.json"}})
    for host in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        ServeParams.model_validate({"host": host})
