"""Finding and ending every process of one start, whoever its parent is by now.

Ray, HAProxy and vLLM re-parent their processes and overwrite their titles (and with them ``/proc/<pid>/environ``). So a
process belongs to a start if any of these says so: the marker in its environment, its working directory or an open
file inside the run folder, the run folder in its command line, or a parent that belongs.
"""

import os
import signal
import time
from pathlib import Path

MARKER_VARIABLE = "SERIN_SERVE_MARKER"
_PROC = Path("/proc")
_SHARED_MEMORY = "/dev/shm"
_POLL_S = 0.1


def processes_of(marker: str, run_folder: str) -> set[int]:
    """The pids of one start's living processes; never this process, nor those it descends from."""
    parents = _parents()
    spared = _lineage(os.getpid(), parents)
    found = {pid for pid in parents if pid not in spared and _belongs(pid, marker, run_folder)}
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found and pid not in spared} - found
        found |= children
        grown = bool(children)
    return found


def end_all(marker: str, run_folder: str, polite_s: float = 3.0) -> int:
    """End every process of one start, with SIGTERM and after ``polite_s`` with SIGKILL; returns how many there were.

    Returns once none is left, so what it leaves behind is nothing.
    """
    ended: set[int] = set()
    shared: set[Path] = set()
    started = time.monotonic()
    while living := processes_of(marker, run_folder):
        impatient = time.monotonic() - started >= polite_s
        shared.update(*(shared_memory_of(pid) for pid in living - ended))
        for pid in living if impatient else living - ended:
            _signal(pid, signal.SIGKILL if impatient else signal.SIGTERM)
        ended |= living
        reap()
        time.sleep(_POLL_S)
    reap()
    for path in shared:
        path.unlink(missing_ok=True)
    return len(ended)


def shared_memory_of(pid: int) -> set[Path]:
    """The files in ``/dev/shm`` that a process maps; whoever is killed cannot remove its own."""
    try:
        lines = (_PROC / str(pid) / "maps").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return set()
    return {
        Path(_SHARED_MEMORY) / line.rpartition(f"{_SHARED_MEMORY}/")[2]
        for line in lines
        if f" {_SHARED_MEMORY}/" in line
    }


def reap() -> None:
    """Collect children that have ended, so that they do not stay as zombies."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _parents() -> dict[int, int]:
    """Pid to parent, for every process that is not a zombie."""
    parents = {}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state not in ("Z", "X"):
                parents[int(entry.name)] = int(parent)
    return parents


def _lineage(pid: int, parents: dict[int, int]) -> set[int]:
    """A process and all that it descends from."""
    lineage = set()
    while pid and pid not in lineage:
        lineage.add(pid)
        pid = parents.get(pid, 0)
    return lineage


def _belongs(pid: int, marker: str, run_folder: str) -> bool:
    folder = _PROC / str(pid)
    try:
        if f"{MARKER_VARIABLE}={marker}".encode() in (folder / "environ").read_bytes():
            return True
        if run_folder.encode() in (folder / "cmdline").read_bytes():
            return True
        links = [folder / "cwd", *(folder / "fd").iterdir()]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return any(_points_into(link, run_folder) for link in links)


def _points_into(link: Path, folder: str) -> bool:
    try:
        target = os.readlink(link)  # noqa: PTH115 - Path.readlink would parse 'pipe:[…]' and 'socket:[…]' too
    except OSError:
        return False
    return target == folder or target.startswith(folder + "/")
