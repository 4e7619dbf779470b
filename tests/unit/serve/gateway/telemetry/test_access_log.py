"""The access log says how requests went, and nothing of what they were about."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serin.core.params import TelemetryParams
from serin.serve.gateway.access.key_file import KeyFile
from serin.serve.gateway.access.keys import Limits, new_key
from serin.serve.gateway.telemetry.telemetry import Telemetry

from .....serving.gateways import STABLE, stand

SECRETS = ("How long?", "as good as new", "alice", "not helpful")


def telemetry(to: str, path: Path) -> Telemetry:
    return Telemetry(TelemetryParams(metrics_port=None, access_log=to), "127.0.0.1", None, path, lambda: 1.5)  # type: ignore[arg-type] # one of its literals


async def test_a_line_has_the_figures_and_pseudonyms_of_a_request(tmp_path: Path) -> None:
    log = tmp_path / "access" / "test.jsonl"
    file = KeyFile(tmp_path / "keys.json")
    key_text, key = new_key("app", ["inference", "feedback"], Limits(), datetime.now(UTC), None)
    file.change(lambda keys: keys.with_key(key))
    access = {"keys": str(file.path)}
    async with stand(tmp_path / "state", telemetry("file", log), access=access) as here:
        headers = {"authorization": f"Bearer {key_text}"}
        request_id = (await here.chat(headers, user="alice")).headers["x-request-id"]
        feedback = {"request_id": request_id, "thumbs": "down", "comment": "not helpful"}
        async with here.http.post("/v1/feedback", json=feedback, headers=headers) as answer:
            assert answer.status == 200
        await here.seen.told()
    text = log.read_text()
    asked, rated = map(json.loads, text.splitlines())
    assert asked["t"] == 1.5
    assert asked["key"] == key.id
    assert (asked["path"], asked["status"], asked["kind"]) == ("/v1/chat/completions", 200, None)
    assert (asked["revision"], asked["answered_by"], asked["arm"]) == (STABLE, STABLE, "stable")
    assert (asked["prompt_tokens"], asked["completion_tokens"]) == (5, 4)
    assert 0 < asked["ttft_s"] <= asked["duration_s"]
    assert len(asked["unit"]) == 32
    assert (rated["path"], rated["request"], rated["score"]) == ("/v1/feedback", asked["request"], 0.0)
    for secret in (*SECRETS, key_text, key.sha256):
        assert secret not in text


async def test_it_goes_to_standard_output_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with stand(tmp_path / "state", telemetry("stdout", tmp_path / "none")) as here:
        await here.chat()
        await here.seen.told()
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["status"] == 200
    assert not (tmp_path / "none").exists()
