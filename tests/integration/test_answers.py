"""Answers from transformers and from a running vLLM are the same, token for token, and so are likelihoods."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serin.clients.files import digests_in, read_json, read_jsonl
from serin.clients.storage import FolderStorage
from serin.core.conversation import Conversation, Message
from serin.core.digest import digest_of_files
from serin.core.errors import ConfigError, RetryableError
from serin.core.params import EvaluateParams
from serin.evaluate import stage
from serin.evaluate.answers.local import LocalModel
from serin.evaluate.answers.served import Address, ServedModel
from serin.evaluate.subject import Candidate, base_of, candidate_of

from .training import write_dataset

ROOT = Path(__file__).parents[2]
BASE = ROOT / "examples/labour-law/base"
NEW_TOKENS = 26
TOLERANCE_NATS = 1e-4
"""A token's log-likelihood, both in float32: kernels add in another order."""


def questions() -> list[Conversation]:
    """Of facts in both languages, one of several turns, one with a system turn, and one long one."""
    found = []
    for name in ("en", "zh"):
        for fact in list(read_jsonl(ROOT / f"examples/labour-law/facts/{name}.jsonl"))[:12]:
            turns = (Message("user", fact["questions"][0]), Message("assistant", fact["answer"]))
            found.append(Conversation(turns, {"id": fact["id"], "language": name}))
    asked, said = found[0].messages
    again = Message("user", "Why? " * 20)
    found.append(Conversation((asked, said, again, said), {"id": "turns"}))
    found.append(Conversation((Message("system", "Be brief."), asked, said), {"id": "system"}))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(BASE), "--dtype", "float32"]
    command += ["--served-model-name", "example", "--host", "127.0.0.1", "--port", str(port), "--enforce-eager"]
    command += ["--max-model-len", "512", "--chat-template-content-format", "string"]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 240
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def local() -> LocalModel:
    return LocalModel(BASE, "0" * 64, NEW_TOKENS, batch_size=7)


def test_answers_are_the_same_from_both(url: str, local: LocalModel) -> None:
    served = ServedModel(Address(url, "example"), "0" * 64, NEW_TOKENS, BASE)
    mine, theirs = dict(local.answers(questions())), dict(served.answers(questions()))
    assert {answer.stopped for answer in mine.values()} == {True, False}, "both ways to end are to be seen"
    assert theirs == mine


def test_likelihoods_are_the_same_from_both(url: str, local: LocalModel) -> None:
    served = ServedModel(Address(url, "example"), "0" * 64, NEW_TOKENS, BASE)
    mine, theirs = dict(local.likelihoods(questions())), dict(served.likelihoods(questions()))
    assert {i: found.tokens for i, found in theirs.items()} == {i: found.tokens for i, found in mine.items()}
    for i, found in mine.items():
        assert theirs[i].nll == pytest.approx(found.nll, abs=TOLERANCE_NATS * found.tokens)


def test_an_evaluation_has_the_same_figures_through_an_endpoint(url: str, tmp_path: Path) -> None:
    asked = [q for q in questions() if "language" in q.meta]
    dataset = write_dataset(tmp_path / "dataset", test=[q.as_dict() for q in asked])
    params = EvaluateParams.model_validate(
        {
            "max_new_tokens": NEW_TOKENS,
            "resamples": 200,
            "safety": {"red_team": []},
            "forgetting": {"general": []},
            "rules": [{"metric": "token_f1", "over": "base", "above": -1}],
        }
    )
    digest = digest_of_files(digests_in(BASE))
    base = base_of(params, BASE, digest, "the example's")
    found = {}
    for name, address in (("local", None), ("served", Address(url, "example"))):
        candidate = candidate_of(params, Candidate(folder=BASE, address=address), BASE, digest, FolderStorage(tmp_path))
        stage.run(params, [candidate, base], dataset, tmp_path / name, tmp_path / "out", lambda *_: None, {})
        found[name] = read_json(tmp_path / "out/metrics.json")["means"]["candidate"]["test"]
    perplexity = {name: means.pop("perplexity")["all"] for name, means in found.items()}
    assert found["served"] == found["local"]
    assert perplexity["served"] == pytest.approx(perplexity["local"], rel=TOLERANCE_NATS)


def test_a_model_that_is_not_served_there_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"refused with 404.*--endpoint-model"):
        list(ServedModel(Address(url, "another"), "0" * 64, NEW_TOKENS).answers(questions()[:3]))


def test_an_endpoint_that_nobody_answers_at_may_be_tried_again() -> None:
    address = Address(f"http://127.0.0.1:{free_port()}/v1", "example")
    with pytest.raises(RetryableError, match="answers got so far are kept"):
        list(ServedModel(address, "0" * 64, NEW_TOKENS).answers(questions()[:3]))
