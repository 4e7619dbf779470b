"""The controller as it runs: in threads of this process, or as the process that a cluster's pod is."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from serin.clients.kubernetes import open_cluster
from serin.clients.storage import S3Storage
from serin.controller.loop.controller import Controller, Settings
from serin.controller.loop.lease import LeaseTimes
from serin.controller.loop.metrics import Metrics

from .simulated import Simulated
from .standin import StandIn
from .world import World

LEASE_S = 8.0
"""Of the processes: the time until another one takes over. Short so that tests are, and long enough for a busy machine."""


class Patience:
    """Everything works by itself; a turn is a moment's wait."""

    pause_s = 0.02

    def turn(self) -> None:
        """Wait a moment."""
        time.sleep(self.pause_s)


class Threads(Patience):
    """The controller in threads of this process, over HTTP."""

    def __init__(self, standin: StandIn, kubeconfig: Path | None = None) -> None:
        times = LeaseTimes(duration_s=15.0, give_up_s=10.0, renew_s=1.0, request_s=4.0)
        environment = {"KUBECONFIG": str(kubeconfig or standin.kubeconfig)}
        cluster = open_cluster(standin.namespace, None, environment, timeout_s=4.0)
        settings = Settings("controller-0", workers=2, relist_s=2.0, lease_times=times)
        self.left: list[int] = []
        self.controller = Controller(cluster, settings, Metrics(), now=standin.clock.now)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self.controller.run, args=(self._stopping, self.left.append), daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(10.0)


class Processes(Patience):
    """``serin controller run``, once or several times, each with a kubeconfig and so a token of its own."""

    def __init__(
        self,
        kubeconfig_of: Callable[[str], Path],
        folder: Path,
        environment: Mapping[str, str],
        pause_s: float = Patience.pause_s,
    ) -> None:
        self.pause_s = pause_s
        self._kubeconfig_of = kubeconfig_of
        self._folder = folder
        self._environment = environment
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, token: str = "controller", options: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        """Start one; the next of the same token is another process."""
        kubeconfig = self._kubeconfig_of(token)
        passed = {name: os.environ[name] for name in ("PATH", "HOME", "NO_PROXY") if name in os.environ}
        with (self._folder / f"{token}.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "serin", "controller", "run"),
                    *("--metrics-port", "0", "--health-port", "0", "--relist-s", "2", "--lease-s", str(LEASE_S)),
                    *options,
                ],
                env={**passed, "OMP_NUM_THREADS": "1", **self._environment, "KUBECONFIG": str(kubeconfig)},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self._running[token] = process
        return process

    def kill(self, token: str = "controller") -> None:
        """SIGKILL."""
        process = self._running.pop(token)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def ended(self, token: str = "controller", within_s: float = 20.0) -> int:
        """The exit code of one that ends by itself."""
        code = self._running[token].wait(within_s)
        del self._running[token]
        return code

    def log(self, token: str = "controller") -> str:
        """All that processes with this token wrote."""
        return (self._folder / f"{token}.log").read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for token in list(self._running):
            self.kill(token)
        for log in sorted(self._folder.glob("*.log")):
            print(f"---- {log.stem}\n{log.read_text()}")  # pytest shows it where the test failed


def world_of(standin: StandIn, where: dict[str, Any], controller: Patience) -> World:
    """A user's view over HTTP, which no fault befalls."""
    environment = {"KUBECONFIG": str(standin.kubeconfig_of("user"))}
    # The stand-in compiles the CRDs' rules when the first object comes.
    user = open_cluster(standin.namespace, None, environment, timeout_s=60.0)
    storage = S3Storage(where["url"], where["endpoint_url"])
    return World(user, Simulated(standin), storage, where, controller)
