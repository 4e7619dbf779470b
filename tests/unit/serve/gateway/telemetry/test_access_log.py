"""The access log says how requests went, and nothing of what they were about."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from serin.core.params import TelemetryParams
from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.telemetry.telemetry import Telemetry

from .....serving.gateways import STABLE, served, stand

SECRETS = ("How long?", "as good as new", "alice", "sk-secret-key", "not helpful")


def telemetry(to: str, path: Path) -> Telemetry:
    return Telemetry(TelemetryParams(metrics_port=None, access_log=to), "127.0.0.1", None, path, lambda: 1.5)  # type: ignore[arg-type] # one of its literals


async def test_a_line_has_the_figures_and_pseudonyms_of_a_request(tmp_path: Path) -> None:
    log = tmp_path / "access" / "test.jsonl"
    async with stand(tmp_path / "state", telemetry("file", log)) as here:

        async def known(scope: Scope, receive: Receive, send: Send) -> None:
            scope["serin.caller"] = SimpleNamespace(key_id="0123456789ab", scopes=frozenset({"inference"}))
            await here.gateway(scope, receive, send)

        async with served(known) as url:
            body = {"messages": [{"role": "user", "content": "How long?"}], "user": "alice"}
            headers = {"authorization": "Bearer sk-secret-key"}
            async with here.http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
                request_id = answer.headers["x-request-id"]
            feedback = {"request_id": request_id, "thumbs": "down", "comment": "not helpful"}
            async with here.http.post(f"{url}/v1/feedback", json=feedback) as answer:
                assert answer.status == 200
        await here.seen.told()
    text = log.read_text()
    asked, rated = map(json.loads, text.splitlines())
    assert asked["t"] == 1.5
    assert asked["key"] == "0123456789ab"
    assert (asked["path"], asked["status"], asked["kind"]) == ("/v1/chat/completions", 200, None)
    assert (asked["revision"], asked["answered_by"], asked["arm"]) == (STABLE, STABLE, "stable")
    assert (asked["prompt_tokens"], asked["completion_tokens"]) == (5, 4)
    assert 0 < asked["ttft_s"] <= asked["duration_s"]
    assert len(asked["unit"]) == 32
    assert (rated["path"], rated["request"], rated["score"]) == ("/v1/feedback", asked["request"], 0.0)
    for secret in SECRETS:
        assert secret not in text


async def test_it_goes_to_standard_output_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with stand(tmp_path / "state", telemetry("stdout", tmp_path / "none")) as here:
        await here.chat()
        await here.seen.told()
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["status"] == 200
    assert not (tmp_path / "none").exists()
