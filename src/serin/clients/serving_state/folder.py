"""Serving state in a folder: what serve, deploy, rollout and stop tell each other on one machine.

<state>/supervisor.json     who serves, where, since when, and whether it is ready
<state>/topology.json       which revisions shall run (desired; read-modify-write under a lock and a version)
<state>/status.json         which revisions do run (observed; the supervisor alone writes it)
<state>/weights.json        how traffic is split (desired; versioned)
<state>/acks/<replica>.json the version of the weights that one gateway replica follows
<state>/models/<label>/  models that were fetched from storage, while they are deployed
<state>/evidence/*.jsonl    outcomes and feedback, append-only, one file a gateway replica
<state>/logs/               what Ray, vLLM and the supervisor say
"""

import fcntl
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from serin.clients.files import read_json, write_json
from serin.clients.serving_state.values import (
    RevisionStatus,
    Seen,
    Topology,
    Weights,
    declared_from,
    seen_in,
    weights_from,
)
from serin.core.errors import InputError, RetryableError

_log = logging.getLogger(__name__)
_WATCH_POLL_S = 0.1
_ACK_POLL_S = 0.05
_ACK_TIMEOUT_S = 10.0
ACK_EXPIRES_S = 5.0
"""A gateway replica renews its acknowledgement every second; one this old belongs to a replica that is gone."""


@dataclass(frozen=True, slots=True)
class SupervisorInfo:
    """Who serves. ``marker`` and ``run_folder`` find every process of this start, also after a crash."""

    pid: int
    started: float
    host: str
    port: int
    run_folder: str
    marker: str
    ready: bool = False
    error: str | None = None
    exit_code: int | None = None

    @property
    def url(self) -> str:
        """Where a client on this machine reaches the gateway."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "") else self.host
        return f"http://{host}:{self.port}"


class FolderState:
    """Typed access to one state folder."""

    poll_s = 0.2
    """How often a waiting command may ask."""
    renew_s = 1.0
    """How often a gateway replica renews its acknowledgement."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @property
    def name(self) -> str:
        """Where it is, for messages."""
        return str(self.folder)

    @property
    def logs(self) -> str:
        """Where to read on when something went wrong, for messages."""
        return str(self.logs_folder)

    @property
    def weights_path(self) -> Path:
        """The file that gateways watch."""
        return self.folder / "weights.json"

    @property
    def status_path(self) -> Path:
        """The file in which the supervisor says what runs."""
        return self.folder / "status.json"

    @property
    def evidence_folder(self) -> Path:
        """Where gateways append outcomes and feedback."""
        return self.folder / "evidence"

    @property
    def acks_folder(self) -> Path:
        """Where gateways acknowledge weights."""
        return self.folder / "acks"

    @property
    def models_folder(self) -> Path:
        """Where models lie that were fetched from storage, each under its label."""
        return self.folder / "models"

    @property
    def logs_folder(self) -> Path:
        """Where everything noisy goes."""
        return self.folder / "logs"

    @property
    def secret_path(self) -> Path:
        """The key that signs request ids, 0600; it outlives restarts, so that feedback does."""
        return self.folder / "secret"

    def evidence_path(self, replica: str) -> Path:
        """One gateway replica's evidence file."""
        return self.evidence_folder / f"{replica}.jsonl"

    def weights(self) -> Weights:
        """The split as it is declared. Raises InputError where the file is damaged."""
        if not self.weights_path.exists():
            return Weights()
        return weights_from(read_json(self.weights_path))

    def change_weights(self, change: Callable[[Weights], Weights]) -> Weights:
        """Write ``change`` of the present weights under the lock, with the next version; unchanged ones stay."""
        with self._locked("weights"):
            present = self.weights()
            wanted = replace(change(present), version=present.version)
            if wanted == present:
                return present
            written = replace(wanted, version=present.version + 1)
            write_json(self.weights_path, asdict(written))
            return written

    def acknowledge(self, replica: str, version: int) -> None:
        """Say that a gateway replica follows ``version``; renewed every second while it lives."""
        write_json(self.acks_folder / f"{replica}.json", {"version": version})

    def forget(self, replica: str) -> None:
        """A gateway replica ends: nobody need wait for it."""
        (self.acks_folder / f"{replica}.json").unlink(missing_ok=True)

    def acknowledged(self, version: int, now: float) -> bool:
        """Whether every living gateway replica (at least one) follows ``version`` or a later one."""
        living = []
        for path in self.acks_folder.glob("*.json"):
            try:
                if now - path.stat().st_mtime <= ACK_EXPIRES_S:
                    living.append(int(json.loads(path.read_bytes())["version"]))
            except FileNotFoundError:
                continue
        return bool(living) and min(living) >= version

    def wait_for_ack(self, version: int, timeout_s: float | None = None) -> None:
        """Return once every living gateway replica follows ``version``. Raises RetryableError when it takes longer."""
        limit_s = _ACK_TIMEOUT_S if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit_s
        while not self.acknowledged(version, time.time()):
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"no gateway acknowledged weights version {version} in {limit_s:.0f} s: see {self.logs_folder}, "
                    "and whether 'serin serve' is running"
                )
            time.sleep(_ACK_POLL_S)

    def topology(self) -> Topology:
        """Which revisions shall run."""
        path = self.folder / "topology.json"
        if not path.exists():
            return Topology()
        value = read_json(path)
        try:
            return Topology(
                int(value["version"]), {name: declared_from(entry) for name, entry in value["revisions"].items()}
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged ({error!r}): remove it and deploy again") from error

    def change_topology(self, change: Callable[[Topology], Topology]) -> Topology:
        """Write ``change`` of the present topology under the lock."""
        with self._locked("topology"):
            wanted = change(self.topology())
            write_json(self.folder / "topology.json", asdict(wanted))
            return wanted

    def status(self) -> dict[str, RevisionStatus]:
        """Which revisions do run, as the supervisor saw them last."""
        if not self.status_path.exists():
            return {}
        return {name: RevisionStatus(**entry) for name, entry in read_json(self.status_path).items()}

    def look(self) -> Seen:
        """What a gateway goes by, now. Raises InputError where a file is damaged."""
        return seen_in(self.weights(), self.status())

    def follow(self, heard: Callable[[Seen], None], stopped: threading.Event) -> None:
        """Look at the files' stamps ten times a second, and tell when they changed."""
        stamps: object = None
        while not stopped.wait(_WATCH_POLL_S):
            found = [_stamp(path) for path in (self.weights_path, self.status_path)]
            if found == stamps:
                continue
            stamps = found
            try:
                heard(self.look())
            except InputError as error:
                _log.error("%s", error)

    def write_status(self, status: Mapping[str, RevisionStatus]) -> None:
        """The supervisor's alone."""
        write_json(self.status_path, {name: asdict(entry) for name, entry in status.items()})

    def supervisor(self) -> SupervisorInfo | None:
        """The supervisor that wrote its name last; it may be gone."""
        path = self.folder / "supervisor.json"
        return SupervisorInfo(**read_json(path)) if path.exists() else None

    def write_supervisor(self, info: SupervisorInfo) -> None:
        """The supervisor's alone."""
        write_json(self.folder / "supervisor.json", asdict(info), mode=0o600)

    def forget_supervisor(self) -> None:
        """Nothing of it runs any more."""
        for name in ("supervisor.json", "status.json"):
            (self.folder / name).unlink(missing_ok=True)
        for path in self.acks_folder.glob("*.json"):
            path.unlink(missing_ok=True)

    def remove_model(self, label: str) -> None:
        """Remove a model that was fetched, once nothing runs it; storage has it still."""
        shutil.rmtree(self.models_folder / label, ignore_errors=True)

    def forget_revisions(self) -> None:
        """Nothing is declared any more: no revision runs at the next start, and the next one deployed is stable."""
        for name in ("topology.json", "weights.json"):
            (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def hold_supervisor_lock(self, patience_s: float = 1.0) -> Iterator[bool]:
        """Whether this process may supervise; the kernel gives the lock back when the process ends, however it ends.

        ``patience_s`` outlasts those who only look whether it is held.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + patience_s
        with (self.folder / ".supervisor.lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() < deadline:
                        time.sleep(0.02)
                        continue
                    yield False
                else:
                    yield True
                return

    def serves(self) -> bool:
        """Whether some process supervises this state folder now."""
        if not self.folder.is_dir():
            return False
        with self.hold_supervisor_lock(patience_s=0.0) as free:
            return not free

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes with every write; None where there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return (stat.st_mtime_ns, stat.st_ino)
