"""What the gateway alone can do: requests and chunks a second of one core, CPU seconds for a million tokens, memory over time.

python benchmarks/gateway_limit.py [--requests 1000000] [--rounds 3] [--profile FILE] [--write]

One gateway runs under uvicorn, as in a replica of Ray Serve, with its evidence log; revision and clients are ``fast_http.py``.
Beside it what people write for such a job: a relay of uvicorn and aiohttp that reads, asks and passes on, and no more.
What is counted is the CPU time of the gateway's process, which other load on the machine disturbs little: a rate "per core" is
what it did by the CPU seconds that it took. Memory is the resident set, after every tenth of the requests.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import aiohttp
import uvloop
from fast_http import MODEL, FastClient, FastServer, Pace, request_bytes
from machine import describe

from serin.clients.files import write_atomically
from serin.clients.serving_state import FolderState, RevisionStatus, Weights
from serin.core.revision import Revision
from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.app import Gateway
from serin.serve.gateway.assembly import spare_collector
from serin.serve.gateway.settings import GatewaySettings

RESULT = Path(__file__).parent / "results/gateway_limit.txt"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """``connections`` clients that ask one request after the other, ``requests`` in all."""

    name: str
    connections: int
    requests: int
    stream: bool = False
    pace: Pace = field(default_factory=Pace)


LOADS = (
    Load("requests of one answer, 1 client", 1, 3_000),
    Load("requests of one answer, 32 clients", 32, 20_000),
    Load("streams as fast as they go, 1 event a write", 32, 1_500, stream=True, pace=Pace(256)),
    Load("streams as fast as they go, 8 events a write", 32, 1_500, stream=True, pace=Pace(256, burst=8)),
    Load("256 streams of 50 events/s", 256, 512, stream=True, pace=Pace(256, pause_s=0.02)),
)


class PlainRelay:
    """What uvicorn and aiohttp cost by themselves; the gateway has another client (``serve/gateway/connections.py``)."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def start(self) -> None:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )

    async def close(self) -> None:
        await self.session.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - an application's shape
        body = (await receive())["body"]
        answer = await self.session.post(self.url, data=body, headers={"content-type": "application/json"})
        kept = ("content-type", "content-length")
        lines = [(name.encode(), answer.headers[name].encode()) for name in kept if name in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": lines})
        while chunk := await answer.content.readany():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def gateway_before(state: Path, base_url: str) -> Gateway:
    """The gateway, with its own settings."""
    settings = GatewaySettings(
        base_url, "secret", (b"k" * 32,), request_timeout_s=60.0, canary_first_byte_timeout_s=10.0
    )
    return Gateway(settings, FolderState(state), "benchmark")


def serve(made: Callable[[], Gateway | PlainRelay], profile: Path | None) -> None:
    """The process that is measured; it prints its port."""
    import cProfile

    import uvicorn

    async def run() -> None:
        app = made()
        await app.start()
        spare_collector()
        config = uvicorn.Config(
            app, port=0, log_level="critical", lifespan="off", access_log=False, proxy_headers=False
        )
        server = uvicorn.Server(config)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, setattr, server, "should_exit", True)
        serving = asyncio.create_task(server._serve())  # serve() would let the signal end the process
        while not server.started:
            await asyncio.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)
        await serving
        await app.close()

    if profile is None:
        uvloop.run(run())
    else:
        recorder = cProfile.Profile()
        recorder.runcall(uvloop.run, run())
        recorder.dump_stats(profile)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mib(pid: int) -> float:
    """What a process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def drive(port: int, load: Load, count: int) -> int:
    """Ask ``count`` requests; the events that came."""
    loop = asyncio.get_running_loop()
    request = request_bytes(load.stream)
    left = count
    events = 0

    async def client() -> None:
        nonlocal left, events
        _, connection = await loop.create_connection(FastClient, "127.0.0.1", port)
        while left > 0:
            left -= 1
            came = await connection.ask(request)
            events += came
        connection.close()

    await asyncio.gather(*(client() for _ in range(load.connections)))
    return events


@dataclass
class Server:
    """A process under load, and the CPU seconds that each of its requests and chunks took, by the load's name."""

    pid: int
    port: int
    request_s: dict[str, list[float]] = field(default_factory=dict)
    chunk_s: dict[str, list[float]] = field(default_factory=dict)

    async def take(self, load: Load) -> None:
        """One turn of a load."""
        spent = cpu_s(self.pid)
        events = await drive(self.port, load, load.requests)
        taken = cpu_s(self.pid) - spent
        self.request_s.setdefault(load.name, []).append(taken / load.requests)
        if events:
            self.chunk_s.setdefault(load.name, []).append(taken / events)


async def measure(gateway: Server, plain: Server, pace: Pace, loads: tuple[Load, ...], rounds: int) -> list[str]:
    """The table's lines: both take each load in turns."""
    lines = [f"{'':46}{'requests/s':>11}{'chunks/s':>10}{'CPU s per':>11}{'a plain':>9}{'of its':>8}"]
    lines.append(f"{'':46}{'of a core':>11}{'of a core':>10}{'10⁶ tokens':>11}{'relay':>9}{'rate':>8}")
    for load in loads:
        pace.events, pace.burst, pace.pause_s = load.pace.events, load.pace.burst, load.pace.pause_s
        for server in (gateway, plain):
            await drive(server.port, load, load.connections)
        for _ in range(rounds):
            await gateway.take(load)
            await plain.take(load)
        request_s, plain_s = (median(server.request_s[load.name]) for server in (gateway, plain))
        chunks, limit = f"{'':21}", 1 / plain_s
        if load.stream:
            chunk_s, limit = median(gateway.chunk_s[load.name]), 1 / median(plain.chunk_s[load.name])
            chunks = f"{1 / chunk_s:10,.0f}{chunk_s * 1e6:11.1f}"
        lines.append(f"{load.name:46}{1 / request_s:11,.0f}{chunks}{limit:9,.0f}{plain_s / request_s:8.2f}")
        print(lines[-1], file=sys.stderr)
    return lines


async def memory_over(pid: int, port: int, memory_requests: int) -> str:
    """What the process holds after each tenth of the requests."""
    unary = LOADS[1]
    sizes = [resident_mib(pid)]
    for _ in range(10):
        await drive(port, unary, memory_requests // 10)
        sizes.append(resident_mib(pid))
        print(f"{sizes[-1]:.1f} MiB", file=sys.stderr)
    told = " ".join(f"{size:.0f}" for size in sizes)
    return f"\nresident MiB over {memory_requests:,} requests, each tenth of them: {told}"


@contextmanager
def child(arguments: list[str]) -> Iterator[tuple[int, int]]:
    """A gateway process; its process id and port."""
    import subprocess

    with subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


async def bench(arguments: argparse.Namespace) -> list[str]:
    """Start the revision here and the gateway beside it, and measure."""
    pace = Pace()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: FastServer(pace), "127.0.0.1", 0)
    with tempfile.TemporaryDirectory() as folder:
        state = FolderState(Path(folder))
        state.change_weights(lambda _: Weights(stable=MODEL, salt="s"))
        state.write_status({MODEL: RevisionStatus("ready")})
        base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        told = ["--gateway", folder, base_url, *(["--profile", str(arguments.profile)] if arguments.profile else [])]
        loads = tuple(
            replace(load, requests=max(load.connections, int(load.requests * arguments.share)))
            for load in LOADS
            if arguments.only in load.name
        )
        plain_url = f"{base_url}/r/{Revision.parse(MODEL).label}/v1/chat/completions"
        with child(told) as (pid, port), child(["--plain", plain_url]) as (plain_pid, plain_port):
            gateway, plain = Server(pid, port), Server(plain_pid, plain_port)
            lines = await measure(gateway, plain, pace, loads, arguments.rounds)
            lines.append(await memory_over(pid, port, arguments.requests))
    server.close()
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of each load's requests, for a quick look")
    parser.add_argument("--only", default="", help="the loads whose name has this")
    parser.add_argument("--profile", type=Path, help="write cProfile's statistics of the gateway here")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULT.name}")
    parser.add_argument("--gateway", nargs=2, metavar=("STATE", "URL"), help=argparse.SUPPRESS)
    parser.add_argument("--plain", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.gateway:
        state, base_url = arguments.gateway
        serve(lambda: gateway_before(Path(state), base_url), arguments.profile)
        return
    if arguments.plain:
        serve(lambda: PlainRelay(arguments.plain), None)
        return
    lines = uvloop.run(bench(arguments))
    text = "\n".join(
        ["The gateway alone, between a revision and clients that cost next to nothing.", describe(), "", *lines]
    )
    print(text)
    if arguments.write:
        write_atomically(RESULT, f"{text}\n".encode())


if __name__ == "__main__":
    main()
