"""Several replicas of a node count as one, and the port passes on when the one that has it dies."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from serin.serve.gateway.telemetry.exposition import FOLDER_VARIABLE

_REPLICA = """
import sys, time
from prometheus_client import CollectorRegistry
from serin.serve.gateway.telemetry.exposition import Exposition, shared_folder
from serin.serve.gateway.telemetry.metrics import GatewayMetrics

folder = shared_folder()
metrics = GatewayMetrics(CollectorRegistry())
metrics.failovers.labels("a@1", "canary").inc(int(sys.argv[2]))
metrics.shows(int(sys.argv[2]), {}, {"a@1": int(sys.argv[2])})
exposition = Exposition("127.0.0.1", int(sys.argv[1]), metrics.registry, folder)
exposition.start()
print("ready", flush=True)
time.sleep(600)
"""


def scrape(port: int) -> dict[str, float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return {}
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def until(port: int, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    deadline = time.monotonic() + 60
    while not holds(seen := scrape(port)):
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    return seen


def test_the_next_replica_takes_the_port_and_what_the_dead_one_counted_stays(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, FOLDER_VARIABLE: str(tmp_path / "metrics")}
    replicas = []
    try:
        for number in (1, 2):
            replica = subprocess.Popen(
                [sys.executable, "-c", _REPLICA, str(port), str(number)],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            replicas.append(replica)
            assert replica.stdout is not None
            assert replica.stdout.readline() == "ready\n"
            until(port, lambda seen: "serin_gateway_failovers_total" in seen)
        seen = until(port, lambda seen: seen.get("serin_gateway_failovers_total") == 3)
        assert seen["serin_gateway_in_flight"] == 3
        assert seen["serin_gateway_weights_version"] == 1  # the slowest replica's
        replicas[0].send_signal(signal.SIGKILL)
        replicas[0].wait()
        seen = until(port, lambda seen: bool(seen))
        assert seen["serin_gateway_failovers_total"] == 3
        assert seen["serin_gateway_in_flight"] == 2
        assert seen["serin_gateway_weights_version"] == 2
    finally:
        for replica in replicas:
            replica.kill()
            replica.wait()
            assert replica.stdout is not None
            replica.stdout.close()
