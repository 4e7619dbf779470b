"""What a gateway tells of requests is what a rollout reads, wherever the rows go."""

from pathlib import Path
from typing import Any

import pytest

from serin.clients.evidence import EvidenceReader
from serin.clients.evidence.folder import FolderReader
from serin.clients.evidence.shipped import StorageReader, StorageWriter
from serin.clients.storage import FolderStorage
from serin.rollout.outcomes import exposure_of

from ....serving.fake_revisions import Behaviour
from ....serving.gateways import CANARY, STABLE, stand

TOLD = ("stable", "canary")


@pytest.mark.parametrize("through", ["folder", "storage"])
async def test_a_rollout_reads_what_the_gateway_saw(tmp_path: Path, through: str) -> None:
    storage = FolderStorage(tmp_path / "storage")
    writer = StorageWriter(storage, "gateway-1") if through == "storage" else None
    async with stand(tmp_path / "state", evidence=writer) as here:
        here.split(rollout="r1", canary=CANARY, canary_weight=0.5)
        here.canary.behaviour = Behaviour(status=500)
        answers = [await here.chat({"x-serin-user": f"user-{number}"}) for number in range(20)]
        assert {answer.status for answer in answers} == {200}
        rated = {"request_id": answers[0].headers["x-request-id"], "thumbs": "down"}
        async with here.http.post("/v1/feedback", json=rated) as answer:
            assert answer.status == 200
        await here.seen.told(20)
    reader: EvidenceReader = (
        StorageReader(storage) if through == "storage" else FolderReader(tmp_path / "state" / "evidence")
    )
    rows: list[Any] = [row for chunk in reader.read({}, 0.0) for row in chunk.rows]
    asked = [exposure_of(row) for row in rows if row["type"] == "outcome"]
    assert len({each.unit for each in asked}) == len(asked) == 20
    assert {each.arm for each in asked} == set(TOLD)
    assert all(each.error == (each.arm == "canary") for each in asked), "a failover is the canary's failure"
    assert {row["revision"] for row in rows} == {STABLE, CANARY}
    assert [row["score"] for row in rows if row["type"] == "feedback"] == [0.0]
