"""From a gateway that is killed, over what it captured, to a dataset: nothing personal in it, and its lineage."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from serin.clients.files import read_json
from serin.core.params import PrepareParams
from serin.prepare.stage import run

from ..serving.gateways import STABLE

ROOT = Path(__file__).parents[2]
MAIL, PHONE = "anna.schmidt@example.org", "+49 170 1234567"

_GATEWAY = """
import asyncio, sys
from pathlib import Path
from serin.clients.serving_state import FolderState, RevisionStatus, Weights
from serin.core.params import ServeParams, StorageParams
from serin.serve.gateway.assembly import Place, assemble
from serin.serve.gateway.settings import GatewaySettings
from tests.serving.fake_revisions import SECRET, Behaviour, fake_revisions
from tests.serving.gateways import STABLE
import uvicorn

async def main(folder, port, rotate_s):
    params = ServeParams.model_validate({
        "capture": {"sample": 1.0, "rotate_s": rotate_s},
        "telemetry": {"metrics_port": None, "access_log": "file"},
    })
    async with fake_revisions(STABLE) as revisions:
        revisions[STABLE].behaviour = Behaviour(text="At most six months, says anna.schmidt@example.org.")
        state = FolderState(folder / "state")
        state.change_weights(lambda _: Weights(stable=STABLE, salt="s"))
        state.write_status({STABLE: RevisionStatus("ready")})
        settings = GatewaySettings(revisions.base_url, SECRET, (b"k" * 32,), 30.0, 10.0)
        place = Place("127.0.0.1", folder / "node", StorageParams(url=str(folder / "storage")))
        app = await assemble(params, settings, state, "replica", place, {})
        config = uvicorn.Config(app, port=port, log_level="critical", lifespan="on", access_log=False)
        await uvicorn.Server(config).serve()

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Gateway:
    """A gateway process, with all its parts."""

    def __init__(self, folder: Path, rotate_s: float) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _GATEWAY, str(folder), str(self.port), str(rotate_s)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        )
        deadline = time.monotonic() + 120
        while self.post("/v1/feedback", {})[0] != 400:
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        """Status and request id."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()
                return answer.status, answer.headers.get("x-request-id", "")
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, ""
        except OSError:
            return 0, ""

    def ask(self, question: str) -> str:
        messages = [{"role": "user", "content": question}]
        status, request_id = self.post("/v1/chat/completions", {"messages": messages, "stream": True})
        assert status == 200
        return request_id

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(120)


def spooled(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (folder / "node/capture").glob("*.jsonl"))


def test_what_a_killed_gateway_captured_is_tomorrows_training_data(tmp_path: Path, tiny_base: Path) -> None:
    topics = ("probation", "notice", "vacation", "overtime", "maternity", "severance", "sickness", "dismissal")
    first = Gateway(tmp_path, rotate_s=3600)
    rated = []
    try:
        for topic in topics:
            rated.append(first.ask(f"How long may {topic} last? Write to {MAIL} or {PHONE}."))
        deadline = time.monotonic() + 60
        while spooled(tmp_path) < len(topics):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        first.end(signal.SIGKILL)
    assert not (tmp_path / "storage").exists()

    second = Gateway(tmp_path, rotate_s=3600)
    try:
        second.ask("What is not rated is not good enough, is it?")
        for request_id in rated:
            assert second.post("/v1/feedback", {"request_id": request_id, "thumbs": "down"})[0] == 200
        for request_id in rated[:-1]:
            assert second.post("/v1/feedback", {"request_id": request_id, "thumbs": "up"})[0] == 200
    finally:
        second.end(signal.SIGTERM)

    captured = tmp_path / "storage/captured"
    kept = b"".join(path.read_bytes() for path in captured.rglob("*.parquet"))
    assert kept
    source = {"path": str(captured), "format": "capture", "min_score": 0.5, "revision": "law-qa"}
    params = PrepareParams.model_validate(
        {
            "sources": [source],
            "max_tokens": 256,
            "split": {"test": 0, "validation": 0},
            "near_duplicates": {"threshold": 1},
        }
    )
    manifest = run(params, tiny_base, "base", tmp_path / "dataset", lambda *_: None)
    records = [json.loads(line) for line in (tmp_path / "dataset/train.jsonl").read_text().splitlines()]
    assert {record["meta"]["request_id"] for record in records} == {each.split(".")[0] for each in rated[:-1]}
    assert all(record["meta"]["revision"] == STABLE and record["meta"]["score"] == 1.0 for record in records)
    assert records[0]["messages"][1]["content"] == "At most six months, says [EMAIL]."
    assert manifest.lineage == {"captured": {STABLE: len(topics) - 1}}
    assert read_json(tmp_path / "dataset/quality.json")["rejected"] == {"low_score": 2}
    for path in [*(tmp_path / "dataset").iterdir(), *(tmp_path / "node").rglob("*"), *captured.rglob("*")]:
        if path.is_file():
            assert MAIL.encode() not in path.read_bytes()
            assert PHONE.encode() not in path.read_bytes()
