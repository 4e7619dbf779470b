"""Feedback over real HTTP: what is taken, and what is refused with words that help."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ....serving.gateways import CANARY, SIGNING_KEY, STABLE, Stand, stand


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand(tmp_path) as made:
        yield made


async def send(here: Stand, **value: Any) -> tuple[int, str]:
    async with here.http.post("/v1/feedback", json=value) as answer:
        return answer.status, await answer.text()


def rows(here: Stand) -> list[dict[str, Any]]:
    lines = here.state.evidence_path("test").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["type"] == "feedback"]


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ({"score": 0.25}, 0.25),
        ({"score": 1}, 1.0),
        ({"thumbs": "up"}, 1.0),
        ({"thumbs": "down", "comment": "Wrong article."}, 0.0),
    ],
)
async def test_feedback_counts_for_the_revision_that_the_request_was_assigned_to(
    here: Stand, said: dict[str, Any], score: float
) -> None:
    request_id = (await here.chat()).headers["x-request-id"]
    assert (await send(here, request_id=request_id, **said))[0] == 200
    (row,) = rows(here)
    assert (row["score"], row["revision"], row["request"]) == (score, STABLE, request_id.split(".")[0])
    assert "Wrong" not in json.dumps(row)


async def test_a_second_feedback_replaces_the_first_for_a_reader_who_counts_the_last(here: Stand) -> None:
    request_id = (await here.chat()).headers["x-request-id"]
    for score in (0.0, 0.0, 1.0):
        assert (await send(here, request_id=request_id, score=score))[0] == 200
    assert {row["request"] for row in rows(here)} == {request_id.split(".")[0]}
    assert rows(here)[-1]["score"] == 1.0


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, "either score"),
        ({"score": 0.5, "thumbs": "up"}, "either score"),
        ({"score": 1.5}, "from 0 to 1"),
        ({"score": True}, "from 0 to 1"),
        ({"score": "0.5"}, "from 0 to 1"),
        ({"thumbs": "sideways"}, "'up' or 'down'"),
        ({"thumbs": ["up"]}, "'up' or 'down'"),
        ({"score": 1, "comment": "x" * 2001}, "at most 2000"),
        ({"score": 1, "comment": 7}, "must be a text"),
        ({"score": 1, "rating": 5}, "'rating' is no member"),
    ],
)
async def test_what_is_no_feedback_is_refused_with_the_rule(here: Stand, said: dict[str, Any], why: str) -> None:
    request_id = (await here.chat()).headers["x-request-id"]
    status, text = await send(here, request_id=request_id, **said)
    assert status == 400
    assert why in json.loads(text)["error"]["message"]
    assert not rows(here)


async def test_only_a_request_that_was_served_can_be_rated(here: Stand) -> None:
    request_id = (await here.chat()).headers["x-request-id"]
    nonce, payload, signature = request_id.split(".")
    for forged in (f"{'0' * 32}.{payload}.{signature}", f"{nonce}.{payload[:-4]}AAAA.{signature}", request_id[:-1]):
        assert (await send(here, request_id=forged, score=1))[0] == 403
    for other in ("", "x", None, 7, "a.b"):
        assert (await send(here, request_id=other, score=1))[0] == 400
    assert not rows(here)


async def test_feedback_is_taken_by_another_replica_and_after_a_restart(here: Stand, tmp_path: Path) -> None:
    here.split(rollout="r1", canary=CANARY, canary_weight=1.0)
    request_id = (await here.chat()).headers["x-request-id"]
    async with stand(tmp_path / "other") as other:
        assert other.gateway.relay.settings.signing_key == SIGNING_KEY
        assert (await send(other, request_id=request_id, thumbs="up"))[0] == 200
        assert (rows(other)[0]["revision"], rows(other)[0]["rollout"]) == (CANARY, "r1")
