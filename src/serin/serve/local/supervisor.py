"""The supervisor: owns every process of one start, reacts to signals at any moment, and leaves nothing behind.

It imports neither Ray nor vLLM: they run in a child (``raystack``) whose whole offspring re-parents to the supervisor
(a child subreaper, prctl(2)) and is ended by it. After a ``kill -9`` of the supervisor itself, ``stop`` and the next
start find the same processes by the marker that ``supervisor.json`` keeps.
"""

import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from serin.clients.files import write_atomically
from serin.clients.serving_state import FolderState, SupervisorInfo
from serin.core.errors import RetryableError, ServingError
from serin.core.params import ServeParams, StorageParams
from serin.serve.gateway.access.key_file import KeyFile
from serin.serve.haproxy import write_program
from serin.serve.local.ports import free_ports, require_free
from serin.serve.local.processes import end_all, reap
from serin.serve.local.settings import RunSettings, environment, haproxy_program

_POLL_S = 0.1
_PR_SET_CHILD_SUBREAPER = 36
_RAY_TRIES = 3
"""Ray gives its own node 30 s to come up, which a busy machine may exceed (``ray/_private/node.py``)."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def supervise(params: ServeParams, storage: StorageParams, state: FolderState, tell: Callable[[str], None]) -> None:
    """Serve until a signal comes. Whatever happens, no process of this start outlives the call.

    Raises:
        ServingError: something serves from this state folder already, a port is taken, or serving ended by itself.
    """
    with state.hold_supervisor_lock() as free:
        if not free:
            info = state.supervisor()
            raise ServingError(
                f"{state.folder} is already being served by process {info.pid if info else '(unknown)'}: "
                "run 'serin stop' first"
            )
        end_leftovers(state)
        require_free(params.host, params.port)
        with _stop_asked() as asked:
            settings = _new_run(params, storage, state)
            info = SupervisorInfo(
                pid=os.getpid(),
                started=time.time(),
                host=params.host,
                port=params.port,
                run_folder=settings.run_folder,
                marker=settings.marker,
            )
            state.write_supervisor(info)
            try:
                _run(settings, state, asked, tell)
            finally:
                end_all(settings.marker, settings.run_folder)
                _keep_logs(Path(settings.run_folder), state.logs_folder)
                shutil.rmtree(settings.run_folder, ignore_errors=True)
            state.forget_supervisor()


def end_leftovers(state: FolderState) -> int:
    """End what a supervisor that was killed left behind; returns how many processes that were."""
    info = state.supervisor()
    if info is None:
        return 0
    ended = end_all(info.marker, info.run_folder)
    run_folder = Path(info.run_folder)
    if run_folder.is_dir():
        _keep_logs(run_folder, state.logs_folder)
        shutil.rmtree(run_folder, ignore_errors=True)
    state.forget_supervisor()
    return ended


def _new_run(params: ServeParams, storage: StorageParams, state: FolderState) -> RunSettings:
    """The folder, marker and secret of one start. The folder's name is short: unix sockets take 107 bytes."""
    if not state.secret_path.exists():
        write_atomically(state.secret_path, secrets.token_bytes(32), mode=0o600)
    for folder in (state.evidence_folder, state.acks_folder, state.logs_folder):
        folder.mkdir(parents=True, exist_ok=True)
    stats_port, metrics_port, fallback_port = free_ports(3)
    run_folder = tempfile.mkdtemp(prefix="serin-", dir="/tmp")
    settings = RunSettings(
        serve=_with_whole_path_of_keys(params).model_dump(),
        state=str(state.folder),
        run_folder=run_folder,
        marker=secrets.token_hex(8),
        secret=secrets.token_urlsafe(32),
        stats_port=stats_port,
        metrics_port=metrics_port,
        fallback_port=fallback_port,
        storage=_anywhere(storage).model_dump(),
    )
    settings.save()
    (Path(run_folder) / "tmp").mkdir()
    write_program(haproxy_program(settings), (stats_port, metrics_port))
    return settings


def _anywhere(storage: StorageParams) -> StorageParams:
    """The same storage, from whatever working directory."""
    if "://" in storage.url:
        return storage
    return storage.model_copy(update={"url": str(Path(storage.url).absolute())})


def _with_whole_path_of_keys(params: ServeParams) -> ServeParams:
    """The processes of Ray run elsewhere. Raises ConfigError where the file of keys cannot be read."""
    if params.access.keys is None:
        return params
    path = Path(params.access.keys).resolve()
    KeyFile(path).read()
    return params.model_copy(update={"access": params.access.model_copy(update={"keys": str(path)})})


def _run(settings: RunSettings, state: FolderState, asked: Callable[[], bool], tell: Callable[[str], None]) -> None:
    _adopt_orphans()
    started = time.monotonic()
    child = _start_ray(settings, state)
    tries = 1
    tell(f"starting Ray, HAProxy and the gateway; logs are in {state.logs_folder}")
    told: set[tuple[str, str]] = set()
    ready = False
    while not asked():
        if child.poll() == RetryableError.exit_code and tries < _RAY_TRIES:
            tries += 1
            tell(f"Ray did not come up in the time that it gives itself: try {tries} of {_RAY_TRIES}")
            end_all(settings.marker, settings.run_folder)
            info = state.supervisor()
            if info is not None:
                state.write_supervisor(replace(info, error=None, exit_code=None))
            child = _start_ray(settings, state)
        if child.poll() is not None:
            info = state.supervisor()
            reason = info.error if info and info.error else f"Ray's process ended with {child.returncode}"
            raise ServingError(f"{reason}; see {state.logs_folder}/raystack.log")
        for revision, entry in state.status().items():
            if (revision, entry.state) not in told:
                told.add((revision, entry.state))
                tell(f"{revision} is {entry.state}{': ' + entry.message if entry.message else ''}")
        info = state.supervisor()
        if info is not None and info.ready and not ready:
            ready = True
            tell(f"ready after {time.monotonic() - started:.0f} s at {info.url}/v1")
        time.sleep(_POLL_S)
        _reap_adopted(child)
    tell("stopping")


def _start_ray(settings: RunSettings, state: FolderState) -> "subprocess.Popen[bytes]":
    with (state.logs_folder / "raystack.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "serin.serve.local.raystack", settings.run_folder],
            cwd=settings.run_folder,
            env=environment(settings, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _reap_adopted(child: "subprocess.Popen[bytes]") -> None:
    """Collect orphans that this process adopted; the child itself is left to ``Popen``."""
    if child.poll() is None:
        pid = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if pid is not None and pid.si_pid != child.pid:
            os.waitpid(pid.si_pid, os.WNOHANG)


def _adopt_orphans() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise ServingError(f"prctl(PR_SET_CHILD_SUBREAPER) failed: {os.strerror(ctypes.get_errno())}")


@contextmanager
def _stop_asked() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM, SIGINT or SIGHUP has come; they end nothing by themselves while this holds."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature is signal's
        came.append(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep_logs(run_folder: Path, logs: Path) -> None:
    """Move what Ray and HAProxy wrote out of a run folder that is about to go; only the last start's is kept."""
    target = logs / "ray"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True, exist_ok=True)
    for session in sorted((run_folder / "ray").glob("session_*")):
        if session.is_dir() and not session.is_symlink():
            for source in sorted((session / "logs").rglob("*")):
                if source.is_file() and not source.is_symlink():
                    place = target / source.relative_to(session / "logs")
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, place)
    for source in sorted((run_folder / "haproxy").rglob("*")):
        if source.is_file() and not source.is_symlink() and source.suffix in (".log", ".cfg"):
            shutil.copyfile(source, target / f"haproxy-{source.name}")


def stop(state: FolderState, timeout_s: float, tell: Callable[[str], None]) -> int:
    """End the supervisor and every process of its start, also of one that was killed; returns how many were left.

    The supervisor gets SIGTERM and ``timeout_s`` to end everything itself; what is left then is ended here.
    """
    info = state.supervisor()
    if info is None:
        return 0
    if state.serves():
        tell(f"asking process {info.pid} to stop")
        os.kill(info.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while state.serves():
            if time.monotonic() > deadline:
                tell(f"process {info.pid} did not stop in {timeout_s:.0f} s: killing it")
                os.kill(info.pid, signal.SIGKILL)
                break
            time.sleep(_POLL_S)
        while state.serves():
            time.sleep(_POLL_S)
        reap()
    return end_leftovers(state)
