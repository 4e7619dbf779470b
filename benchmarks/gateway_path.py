"""The whole path, HAProxy, gateway and revision, against a bare vLLM server and its peers, on the CPU.

python benchmarks/gateway_path.py [--rounds 3] [--streams 1 8 32 128] [--peers serve.llm litellm] [--write]

All serve one small model with random weights, all are up at once, and every number of streams is measured in turns: a round asks
each path for the same streams of 64 tokens. Clients are ``fast_http.py``, so what is told apart is the paths. CPU seconds are
those of all of a path's processes. LiteLLM's proxy stands before the bare server, in an environment of its own
(``litellm_peers.txt``). It takes about 40 minutes on two cores, and wants a machine on which nothing else runs. What idles beside
a path costs it, too, where there are few cores: without any name after ``--peers`` only Serin is up beside the bare server.
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from environment import peers_python
from fast_http import FastClient, request_bytes
from machine import describe
from memory import tree_of

from serin.clients.files import write_atomically
from serin.clients.serving_state import FolderState

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/gateway_path.txt"
RESULT_ALONE = ROOT / "benchmarks/results/gateway_path_alone.txt"
NAME = "small"
BARE, SERIN, SERVE_LLM, LITELLM = "bare vLLM", "serin", "serve.llm", "litellm"
_TOKENS = 64
_TICKS = os.sysconf("SC_CLK_TCK")
_READY_S = 300.0
_POLITE_S = 20.0


@dataclass
class Route:
    """One way to the model: where it is asked, as what, and the processes that it takes."""

    name: str
    port: int
    model: str
    pids: Sequence[int]
    rates: dict[int, list[float]] = field(default_factory=dict)
    ttfts_s: dict[int, list[float]] = field(default_factory=dict)
    cpu_per_token_s: dict[int, list[float]] = field(default_factory=dict)

    def cpu_s(self) -> float:
        """CPU seconds that all its processes have taken."""
        return sum(_cpu_s(pid) for pid in {pid for root in self.pids for pid in tree_of(root)})


def make_model(folder: Path) -> Path:
    """A base model of random weights: what it says does not matter here."""
    import torch

    from serin.base.pretrain import new_model
    from serin.base.tokenizer import save_tokenizer, train_tokenizer
    from serin.core.params import RebuildParams

    text = ["How long may a probation period last? At most six months.", "Article 19 says so."] * 20
    tokenizer = train_tokenizer(text, 512)
    torch.manual_seed(0)
    model = new_model(RebuildParams(hidden_size=256, layers=4, row_tokens=128), tokenizer)
    model.to(torch.bfloat16).save_pretrained(str(folder))
    save_tokenizer(tokenizer, folder)
    return folder


@contextmanager
def process(command: list[str], log: Path, cwd: Path | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A child in a session of its own, which is ended with all that it started."""
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        # The bare server's engine computes itself, as that of a local revision and of one GPU does.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        # LiteLLM wants a key before it starts; no path here asks for one.
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    with log.open("wb") as noise:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            text=True,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        assert child.stdin is not None
        child.stdin.close()
        try:
            child.wait(_POLITE_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)


@contextmanager
def bare_server(model: Path, folder: Path) -> Iterator[Route]:
    """vLLM's own server."""
    port = _free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port), "--enforce-eager"]
    command += ["--max-model-len", "512", "--dtype", "bfloat16", "--disable-uvicorn-access-log"]
    with process(command, folder / "bare.log") as child:
        _drain(child)
        _wait(f"http://127.0.0.1:{port}/health", child, folder / "bare.log")
        yield Route(BARE, port, NAME, [child.pid])


@contextmanager
def serin_stack(model: Path, folder: Path) -> Iterator[Route]:
    """``serin serve`` with one revision."""
    from serin.base import stage as base_stage
    from serin.clients.storage import FolderStorage
    from serin.core.params import BaseParams, MergeParams, PublishParams
    from serin.merge import stage as merge_stage
    from serin.publish import stage as publish_stage
    from serin.publish.evidence import Outputs
    from serin.serve.local.processes import processes_of

    port = _free_port()
    (folder / "params.yaml").write_text(f"serve: {{port: {port}, max_model_len: 512, kv_cache_gib: 1.0}}\n")
    base = base_stage.run(BaseParams(model=str(model)), folder / "base", lambda *_: None)
    storage = FolderStorage(folder / ".serin/storage")
    merge_stage.run(MergeParams(name=NAME), base.folder, base.digest, None, storage, folder / "merged")
    outputs = Outputs(folder / "merged", None, folder / "adapter", folder / "dataset", folder / "base")
    chosen = PublishParams(override="random weights, for a benchmark")
    revision = str(publish_stage.run(chosen, outputs, storage, folder, folder / "published").revision)
    try:
        for arguments in (["serve", "--detach"], ["deploy", revision]):
            subprocess.run(
                [sys.executable, "-m", "serin", *arguments], cwd=folder, check=True, stdin=subprocess.DEVNULL
            )
        info = FolderState(folder / ".serin/serve").supervisor()
        assert info is not None
        yield Route(SERIN, port, "serin", [info.pid, *processes_of(info.marker, info.run_folder)])
    finally:
        subprocess.run([sys.executable, "-m", "serin", "stop"], cwd=folder, check=False, stdin=subprocess.DEVNULL)


@contextmanager
def serve_llm(model: Path, folder: Path) -> Iterator[Route]:
    """Ray's own builder with its defaults."""
    command = [sys.executable, str(ROOT / "benchmarks/peers/serve_llm.py"), str(model), NAME]
    with process(command, folder / "serve_llm.log") as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip().isdecimal():
                break
        else:
            raise SystemExit(f"serve.llm did not start:\n{(folder / 'serve_llm.log').read_text()[-3000:]}")
        _drain(child)
        yield Route(SERVE_LLM, int(line), NAME, [child.pid])


@contextmanager
def litellm(folder: Path, bare: Route) -> Iterator[Route]:
    """LiteLLM's proxy before the bare server."""
    port = _free_port()
    listed = f"{{model: hosted_vllm/{NAME}, api_base: 'http://127.0.0.1:{bare.port}/v1', api_key: none}}"
    (folder / "litellm.yaml").write_text(f"model_list:\n- model_name: {NAME}\n  litellm_params: {listed}\n")
    program = peers_python("litellm_peers.txt").with_name("litellm")
    command = [str(program), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    with process([*command, "--telemetry", "False"], folder / "litellm.log") as child:
        _drain(child)
        _wait(f"http://127.0.0.1:{port}/health/liveliness", child, folder / "litellm.log")
        yield Route(LITELLM, port, NAME, [child.pid, *bare.pids])


async def ask(path: Route, streams: int, requests: int) -> tuple[float, float, list[float]]:
    """Tokens a second, CPU seconds a token, and every TTFT."""
    loop = asyncio.get_running_loop()
    request = request_bytes(True, path.model, max_tokens=_TOKENS, ignore_eos=True, temperature=0)
    left, ttfts = requests, []

    async def client() -> None:
        nonlocal left
        _, connection = await loop.create_connection(FastClient, "127.0.0.1", path.port)
        while left > 0:
            left -= 1
            began = loop.time()
            await connection.ask(request)
            assert connection.first_at is not None, f"{path.name} sent no event"
            ttfts.append(connection.first_at - began)
        connection.close()

    began, spent = time.monotonic(), path.cpu_s()
    await asyncio.gather(*(client() for _ in range(streams)))
    tokens = requests * _TOKENS
    return tokens / (time.monotonic() - began), (path.cpu_s() - spent) / tokens, ttfts


async def measure(paths: Sequence[Route], streams: Sequence[int], rounds: int) -> None:
    """Fill the paths' figures, in turns."""
    for count in streams:
        requests = max(16, 3 * count)
        for path in paths:
            await ask(path, count, count)
        for turn in range(rounds):
            for path in [*paths[turn % len(paths) :], *paths[: turn % len(paths)]]:
                rate, cpu_s, ttfts = await ask(path, count, requests)
                path.rates.setdefault(count, []).append(rate)
                path.cpu_per_token_s.setdefault(count, []).append(cpu_s)
                path.ttfts_s.setdefault(count, []).extend(ttfts)
                print(f"{count:4} {path.name:12}{rate:9,.0f} tokens/s", file=sys.stderr)


def table(paths: Sequence[Route], streams: Sequence[int]) -> list[str]:
    """The figures, each path against the bare server."""
    lines = [
        f"{'streams':>7} {'path':12}{'tokens/s':>9}{'of bare':>8}{'TTFT ms: median':>16}{'p99':>8}{'CPU s per 10⁶':>15}"
    ]
    for count in streams:
        bare = statistics.median(paths[0].rates[count])
        for path in paths:
            rate = statistics.median(path.rates[count])
            times = sorted(path.ttfts_s[count])
            p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
            cpu_s = statistics.median(path.cpu_per_token_s[count]) * 1e6
            lines.append(
                f"{count:7} {path.name:12}{rate:9,.0f}{rate / bare:8.2f}{statistics.median(times) * 1e3:16.1f}"
                f"{p99 * 1e3:8.1f}{cpu_s:15.0f}"
            )
    return lines


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _drain(child: "subprocess.Popen[str]") -> None:
    import threading

    assert child.stdout is not None
    threading.Thread(target=child.stdout.read, daemon=True).start()


def _wait(url: str, child: "subprocess.Popen[str]", log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and child.poll() is None:
        try:
            opener.open(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    raise SystemExit(f"nothing answered {url} in {_READY_S:.0f} s:\n{log.read_text()[-3000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--peers", nargs="*", choices=(SERVE_LLM, LITELLM), default=[SERVE_LLM, LITELLM])
    parser.add_argument(
        "--write", action="store_true", help=f"keep the table in {RESULT.name}; without peers in {RESULT_ALONE.name}"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        model = make_model(folder / "model")
        bare = running.enter_context(bare_server(model, folder))
        paths = [bare, running.enter_context(serin_stack(model, folder))]
        if SERVE_LLM in arguments.peers:
            paths.append(running.enter_context(serve_llm(model, folder)))
        if LITELLM in arguments.peers:
            paths.append(running.enter_context(litellm(folder, bare)))
        uvloop.run(measure(paths, arguments.streams, arguments.rounds))
    lines = ["Streams of 64 tokens of one small model through each path, in turns.", describe(), ""]
    text = "\n".join([*lines, *table(paths, arguments.streams)])
    print(text)
    if arguments.write:
        write_atomically(RESULT if arguments.peers else RESULT_ALONE, f"{text}\n".encode())


if __name__ == "__main__":
    main()
