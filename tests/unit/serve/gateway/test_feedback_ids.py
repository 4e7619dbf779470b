"""Request ids as whoever forges, alters or keeps them meets the gateway."""

from pathlib import Path

import pytest

from serin.serve.gateway.request_id import RequestIdentity, sign

from ....serving.gateways import SIGNING_KEY, STABLE, Stand, stand

OLD = b"o" * 32
DAY_S = 86_400.0


async def post(here: Stand, request_id: object) -> int:
    async with here.http.post("/v1/feedback", json={"request_id": request_id, "score": 1}) as answer:
        return answer.status


def identity(t: float) -> RequestIdentity:
    return RequestIdentity("n", STABLE, "u" * 32, "stable", 0.0, None, t)


async def test_feedback_is_taken_for_as_long_as_params_say(tmp_path: Path) -> None:
    async with stand(tmp_path, access={"feedback_days": 2.0}) as here:
        now = here.gateway.relay.wall_clock()
        for age_days, status in ((0.0, 200), (1.9, 200), (2.1, 403), (-1.0, 200)):
            assert await post(here, sign(identity(now - age_days * DAY_S), SIGNING_KEY)) == status


async def test_an_answers_id_opens_feedback_for_that_answer_on_every_replica_and_after_a_restart(
    tmp_path: Path,
) -> None:
    async with stand(tmp_path / "a") as here:
        given = (await here.chat()).headers["x-request-id"]
        assert await post(here, given) == 200
    async with stand(tmp_path / "b", signing_keys=(OLD, SIGNING_KEY)) as rotated:
        assert await post(rotated, given) == 200
        assert await post(rotated, (await rotated.chat()).headers["x-request-id"]) == 200
    async with stand(tmp_path / "c", signing_keys=(OLD,)) as dropped:
        assert await post(dropped, given) == 403


async def test_units_keep_their_names_while_two_keys_are_taken(tmp_path: Path) -> None:
    units = []
    for number, keys in enumerate([(SIGNING_KEY,), (OLD, SIGNING_KEY)]):
        async with stand(tmp_path / str(number), signing_keys=keys) as here:
            await here.chat(user="ada")
            units.append((await here.seen.told())[0].identity.unit)
    assert units[0] == units[1]


@pytest.mark.parametrize(
    "value", [None, 7, [], {}, "", ".", "..", "a.b.c", "a.e30.AAAA", "\x00.a.b", "ü.ü.ü", "." * 1000]
)
async def test_what_nobody_was_given_is_refused(tmp_path: Path, value: object) -> None:
    async with stand(tmp_path) as here:
        assert await post(here, value) in (400, 403)


async def test_ids_that_the_gateway_gives_to_refusals_open_nothing(tmp_path: Path) -> None:
    async with stand(tmp_path) as here:
        refused = await here.chat(model="nobody")
        assert await post(here, refused.headers["x-request-id"]) == 400
