"""Capture behind a gateway that serves: what is kept, what is not, and that no client pays for it."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pyarrow import parquet

from serin.clients.storage import FolderStorage, Storage
from serin.core.captured import SUFFIX
from serin.core.errors import StorageError
from serin.core.params import CaptureParams, PersonalDataParams
from serin.serve.gateway.capture.capture import Capture, Counts

from .....serving.fake_revisions import Behaviour
from .....serving.gateways import CANARY, OTHER, STABLE, Stand, stand

MAIL = "anna.schmidt@example.org"


class Kept:
    """A capture into a folder, and what it counted."""

    def __init__(self, folder: Path, storage: Storage | None = None, **params: Any) -> None:
        self.storage = folder / "storage"
        self.spool = folder / "spool"
        self.counted: Counter[str] = Counter()
        counts = Counts(lambda number: self.counted.update(captured=number), self._drop)
        self.params = CaptureParams(**{"sample": 1.0, **params})
        opened = storage or FolderStorage(self.storage)
        self.capture = Capture(self.params, self.spool, lambda: opened, lambda: 1e9, counts)

    def _drop(self, reason: str, number: int) -> None:
        self.counted[reason] += number

    def rows(self, record: str = "exchange") -> list[dict[str, Any]]:
        """What is in storage; to be called after the gateway's end."""
        tables = [parquet.read_table(path) for path in sorted(self.storage.rglob(f"*{SUFFIX}"))]
        return [row for table in tables for row in table.to_pylist() if row["record"] == record]


async def rate(here: Stand, request_id: str, **value: Any) -> None:
    async with here.http.post("/v1/feedback", json={"request_id": request_id, **value}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("streamed", [False, True])
async def test_request_answer_and_feedback_are_kept_without_personal_data(tmp_path: Path, streamed: bool) -> None:
    kept = Kept(tmp_path)
    async with stand(tmp_path / "state", capture=kept.capture) as here:
        here.stable.behaviour = Behaviour(text=f"Write to {MAIL} then.")
        messages = [{"role": "user", "content": f"I am {MAIL}. How long\u200b?"}]
        answer = await here.chat(messages=messages, user="alice", stream=streamed)
        request_id = answer.headers["x-request-id"]
        assert MAIL in await answer.text() or streamed
        await rate(here, request_id, thumbs="up", comment=f"Thanks, {MAIL}")
    (row,) = kept.rows()
    assert (row["revision"], row["complete"], row["path"]) == (STABLE, True, "/v1/chat/completions")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (5, 4)
    assert json.loads(row["request"])["messages"][0]["content"] == "I am [EMAIL]. How long?"
    said = json.loads(row["response"])["choices"][0]["message"]["content"]
    assert said == "Write to [EMAIL] then."
    (rated,) = kept.rows("feedback")
    assert (rated["request_id"], rated["score"]) == (row["request_id"], 1.0)
    assert rated["comment"] == "Thanks, [EMAIL]"
    assert "alice" not in str(row)
    assert kept.counted == {"captured": 2}


async def test_an_answer_is_the_revisions_that_gave_it(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    async with stand(tmp_path / "state", capture=kept.capture) as here:
        here.split(rollout="r1", canary=CANARY, canary_weight=1.0, shadow=OTHER, shadow_share=1.0)
        here.canary.behaviour = Behaviour(status=500)
        await here.chat()
        await here.seen.told(2)
    assert [row["revision"] for row in kept.rows()] == [STABLE]  # and no shadow's


async def test_only_whole_answers_are_complete_and_what_failed_is_not_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    async with stand(tmp_path / "state", capture=kept.capture) as here:
        here.stable.behaviour = Behaviour(status=500)
        await here.chat()
        here.stable.behaviour = Behaviour(text="one two three four", breaks_after=2)
        with pytest.raises(aiohttp.ClientError):
            await here.chat(stream=True)
        async with here.http.post("/v1/embeddings", json={"input": MAIL}) as answer:
            assert answer.status == 200
    assert [row["complete"] for row in kept.rows()] == [False]


async def test_the_sample_is_drawn_by_request_and_the_same_on_every_replica(tmp_path: Path) -> None:
    kept, other = Kept(tmp_path / "a", sample=0.3), Kept(tmp_path / "b", sample=0.3)
    async with (
        stand(tmp_path / "s", capture=kept.capture) as here,
        stand(tmp_path / "t", capture=other.capture) as there,
    ):
        ids = [(await here.chat()).headers["x-request-id"] for _ in range(60)]
        for request_id in ids:
            await rate(there, request_id, score=0.5)
    captured = {row["request_id"] for row in kept.rows()}
    assert 5 <= len(captured) <= 35
    assert {row["request_id"] for row in other.rows("feedback")} == captured


async def test_what_is_to_be_dropped_for_personal_data_is_not_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path, personal_data=PersonalDataParams(email="drop"))
    async with stand(tmp_path / "state", capture=kept.capture) as here:
        await here.chat(messages=[{"role": "user", "content": MAIL}])
        request_id = (await here.chat()).headers["x-request-id"]
        await rate(here, request_id, score=0.0, comment=MAIL)
    assert len(kept.rows()) == 1
    assert [row["comment"] for row in kept.rows("feedback")] == [None]
    assert kept.counted == {"captured": 2, "personal_data": 1}


def nested(levels: int) -> bytes:
    return b'{"tools": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize("body", [nested(900), nested(260), b'{"messages": {}}', b"[]", b""])
async def test_what_cannot_be_read_costs_a_row_and_nothing_else(tmp_path: Path, body: bytes) -> None:
    kept = Kept(tmp_path)
    async with stand(tmp_path / "state", capture=kept.capture) as here:
        here.seen.bodies = True
        await here.chat()
        (record,) = await here.seen.told()
        assert record.bodies is not None
        hostile = replace(record, bodies=replace(record.bodies, request=body))
        assert kept.capture.wants_bodies(hostile.identity)
        kept.capture.finished(hostile)
        await here.chat()
    assert len(kept.rows()) + kept.counted["unreadable"] == 3
    assert len(kept.rows()) >= 2


class Hanging(FolderStorage):
    """A storage that does not answer until it is told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked = threading.Event()
        self.goes_on = threading.Event()

    def put_files(self, files: Mapping[str, Path]) -> None:
        self.asked.set()
        if not self.goes_on.wait(60):
            raise StorageError("nobody let it go on")
        super().put_files(files)


async def test_a_storage_that_hangs_keeps_nobody_waiting_and_loses_nothing(tmp_path: Path) -> None:
    storage = Hanging(tmp_path / "storage")
    kept = Kept(tmp_path, storage=storage, rotate_mib=1)
    body = "x" * 300_000
    async with stand(tmp_path / "state", capture=kept.capture) as here:
        try:
            for number in range(20):
                answer = await here.chat(messages=[{"role": "user", "content": f"{number} {body}"}])
                assert answer.status == 200
            await until_set(storage.asked)
        finally:
            storage.goes_on.set()
    assert len(kept.rows()) == kept.counted["captured"] == 20


async def until_set(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 60)
