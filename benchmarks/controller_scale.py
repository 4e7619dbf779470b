"""How the controller does with many FineTunes: time from cold, requests for each, memory, what it does while nothing happens.

python benchmarks/controller_scale.py [--count 1000] [--latencies 50] [--quiet-s 90] [--write]

The controller is the process that a pod runs, with the variables of its Deployment. The API server is the stand-in of the
tests, in this process, and storage is ``s3_in_memory.py``: all three share this machine's cores, so a real cluster answers
faster. Jobs are created and none of them starts a pod, which each FineTune says half a minute later; only then nothing
happens any more. What is timed from the outside: ``create`` of a FineTune sent, until its Job is in the API server's store.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from machine import describe

from serin.clients.files import write_atomically
from serin.clients.kubernetes import Cluster, open_cluster
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.clients.storage import open_storage
from serin.core.params import StorageParams

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.cluster.kubelet.deposit import deposit  # noqa: E402
from tests.cluster.standin import StandIn  # noqa: E402 - the tests are no package that is installed

RESULT = ROOT / "benchmarks/results/controller_scale.txt"
LIMIT_S = 1800.0


class Watch:
    """When each FineTune's Job came into the store."""

    def __init__(self, api: StandIn) -> None:
        self.jobs: dict[str, float] = {}
        self.changed = threading.Condition()
        api.store.on_change.append(self._look)

    def _look(self, resource: Any, change: Any) -> None:
        if resource.plural == "jobs" and change.type == "ADDED":
            with self.changed:
                self.jobs[change.now.object["metadata"]["labels"]["serin.dev/finetune"]] = time.monotonic()
                self.changed.notify_all()


def finetune(name: str, inputs: dict[str, str], storage: dict[str, str]) -> dict[str, Any]:
    """One that trains."""
    run = {
        "stages": ["train"],
        "inputs": inputs,
        "params": {"storage": storage},
        "placement": {"image": "registry.example/serin-train:1"},
    }
    body = {"apiVersion": FINE_TUNES.api_version, "kind": FINE_TUNES.kind, "metadata": {"name": name}}
    return body | {"spec": {"suspend": False, "run": run}}


@contextmanager
def storage_server() -> Iterator[str]:
    """Its address."""
    command = [sys.executable, str(ROOT / "benchmarks/s3_in_memory.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()


def given() -> dict[str, str]:
    """Variables of the controller's Deployment."""
    objects = yaml.safe_load_all((ROOT / "k8s/base/controller.yaml").read_text())
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


@contextmanager
def controller(api: StandIn, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """``serin controller run`` with what a pod gives it."""
    command = [sys.executable, "-m", "serin", "controller", "run", "--metrics-port", "0", "--health-port", "0"]
    environment = {**os.environ, **given(), "KUBECONFIG": str(api.kubeconfig_of("controller"))}
    with log.open("wb") as file, subprocess.Popen(command, env=environment, stderr=file) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def memory_mib(process: "subprocess.Popen[bytes]") -> tuple[float, float]:
    """Resident now, and the most that it ever was."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    found = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024


def until(holds: Callable[[], bool], what: str) -> float:
    """Wait; how long it took in seconds."""
    start = time.monotonic()
    while not holds():
        if time.monotonic() - start > LIMIT_S:
            raise SystemExit(f"it never came to this: {what}")
        time.sleep(0.05)
    return time.monotonic() - start


def are_told(api: StandIn, count: int, reason: str) -> bool:
    """Whether so many FineTunes say why no pod of theirs runs."""
    stored = api.store.all(api.resource("finetunes"), api.namespace)
    told = [each.object.get("status", {}).get("conditions", []) for each in stored]
    reasons = [condition["reason"] for conditions in told for condition in conditions if condition["type"] == "Running"]
    return reasons.count(reason) >= count


def are_made(api: StandIn, count: int) -> bool:
    """Whether each FineTune's status names its Job."""
    stored = api.store.all(api.resource("finetunes"), api.namespace)
    return sum(1 for each in stored if each.object.get("status", {}).get("job")) >= count


def requests(api: StandIn, since: int) -> Counter[str]:
    """What the controller asked, without its Lease."""
    calls = [call for call in api.calls[since:] if call.token == "controller" and call.resource != "leases"]
    return Counter(f"{call.verb} {call.resource}" for call in calls)


def shown(counts: Counter[str], each: int = 1) -> str:
    """For people."""
    return ", ".join(f"{count / each:g} {what}" for what, count in counts.most_common()) or "none"


def latencies(user: Cluster, seen: Watch, bodies: Sequence[dict[str, Any]]) -> list[float]:
    """Seconds from each FineTune's creation to its Job's, one after another."""
    found = []
    for body in bodies:
        name = body["metadata"]["name"]
        start = time.monotonic()
        user.create(FINE_TUNES, body)
        with seen.changed:
            if not seen.changed.wait_for(lambda name=name: name in seen.jobs, LIMIT_S):
                raise SystemExit(f"{name} never got its Job")
        found.append(seen.jobs[name] - start)
    return found


def measure(count: int, extra: int, quiet_s: float, say: Callable[[str], None]) -> None:
    """All figures, each told as soon as it is known."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "benchmark")
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    with storage_server() as url, StandIn(auto=False) as api, tempfile.TemporaryDirectory() as folder:
        log, log_anew = Path(folder) / "log", Path(folder) / "log-anew"
        seen = Watch(api)
        where = {"url": "s3://serin/runs", "endpoint_url": url}
        storage = open_storage(StorageParams.model_validate(where))
        record = b'{"revision": "' + b"a" * 40 + b'"}'
        inputs = {"base": deposit(storage, {"base.json": record}), "dataset": deposit(storage, {"train.jsonl": b"{}"})}
        for number in range(count):
            api.create(finetune(f"run-{number:04}", inputs, where))
        start = len(api.calls)
        with controller(api, log) as process:
            seconds = until(lambda: are_made(api, count), "every FineTune has its Job")
            say(f"cold: {seconds:.1f} s until each of {count} FineTunes has its Job and says so")
            until(lambda: are_told(api, count, "NoPod"), "every FineTune says that it has no pod")
            say(
                f"requests for each until it says that its Job has no pod, 30 s later: {shown(requests(api, start), count)}"
            )
            user = open_cluster(None, None, {"KUBECONFIG": str(api.kubeconfig)}, timeout_s=60.0)
            more = [finetune(f"more-{number:03}", inputs, where) for number in range(extra)]
            found = latencies(user, seen, more)
            late = sorted(found)[int(len(found) * 0.95)]
            say(f"create to Job, {extra} one by one: median {statistics.median(found):.3f} s, 95 % under {late:.3f} s")
            until(lambda: are_told(api, count + extra, "NoPod"), "every FineTune says that it has no pod")
            time.sleep(3)
            start = len(api.calls)
            time.sleep(quiet_s)
            say(f"{quiet_s:g} s in which nothing happens: {shown(requests(api, start))}")
            say("memory: {:.0f} MiB resident, {:.0f} MiB at most".format(*memory_mib(process)))
        start = len(api.calls)
        with controller(api, log_anew) as process:
            until(lambda: "this is the leader" in log_anew.read_text(), "a new one leads")
            time.sleep(max(10.0, count / 50))
            say(f"started anew beside what is there: {shown(requests(api, start))}")
            say("memory: {:.0f} MiB resident, {:.0f} MiB at most".format(*memory_mib(process)))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--latencies", type=int, default=50)
    parser.add_argument("--quiet-s", type=float, default=90.0)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.relative_to(ROOT)}")
    arguments = parser.parse_args()
    lines = [f"python benchmarks/controller_scale.py --count {arguments.count}", describe()]

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    measure(arguments.count, arguments.latencies, arguments.quiet_s, say)
    if arguments.write:
        write_atomically(RESULT, ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
