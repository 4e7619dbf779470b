"""Pods that are real processes: the command, the environment and the folders of their container, on this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pod import Pod

_MESSAGE_BYTES = 4096


@dataclass(frozen=True)
class Run:
    """Runs the pod's own command: ``pods.script(Run(tmp_path))``.

    Its volumes lie in ``<folder>/<pod>``, and nothing of this process's environment is passed on but PATH and ``environment``,
    which stands for the secrets of ``envFrom`` and the identity of the ServiceAccount. Its termination log is the file that
    ``SERIN_TERMINATION_LOG`` names.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    popen: "Callable[..., subprocess.Popen[bytes]]" = subprocess.Popen

    def play(self, pod: "Pod") -> Iterator[None]:
        """Start it, and wait for its end."""
        pod.schedule()
        yield
        home = self.folder / pod.name
        volumes = {
            mount["mountPath"]: home / mount["name"] for mount in pod.made["spec"]["containers"][0]["volumeMounts"]
        }
        for volume in volumes.values():
            volume.mkdir(parents=True, exist_ok=True)
        pod.start()
        pod.process = self._start(pod, home, volumes)
        yield
        yield from self._wait(pod, home)

    def stop(self, pod: "Pod") -> Iterator[None]:
        """SIGTERM; the kubelet kills it when its grace period is over."""
        if pod.process is None:
            pod.fail("", "")
            return
        pod.process.send_signal(signal.SIGTERM)
        yield from self._wait(pod, self.folder / pod.name)

    def _start(self, pod: "Pod", home: Path, volumes: Mapping[str, Path]) -> "subprocess.Popen[bytes]":
        container = pod.made["spec"]["containers"][0]
        given = {name: _moved(value, volumes) for name, value in pod.environment.items()}
        given["SERIN_TERMINATION_LOG"] = str(home / "termination-log")
        passed = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **self.environment}
        command = [*container["command"], *(container.get("args") or ())]
        command[0] = sys.executable if command[0] == "python" else command[0]
        with (home / "log").open("wb") as log:
            return self.popen(
                command,
                cwd=_moved(container.get("workingDir", "/"), volumes),
                env={**passed, **given},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self, pod: "Pod", home: Path) -> Iterator[None]:
        assert pod.process is not None
        while pod.process.poll() is None:
            pod.printed = (home / "log").read_bytes()
            yield
        pod.printed = (home / "log").read_bytes()
        code = pod.process.returncode
        message = home / "termination-log"
        told = message.read_bytes() if message.exists() else b""
        if not told and code != 0:
            told = pod.printed[-2048:]  # FallbackToLogsOnError: the last 2,048 bytes or 80 lines
        pod.end(code if code >= 0 else 128 - code, "", raw=told[:_MESSAGE_BYTES].decode(errors="replace"))
        yield


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its children, if it has not ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _moved(value: str, volumes: Mapping[str, Path]) -> str:
    """A path below a mount, where that mount lies here."""
    for path, volume in volumes.items():
        if value == path or value.startswith(f"{path}/"):
            return f"{volume}{value[len(path) :]}"
    return value
