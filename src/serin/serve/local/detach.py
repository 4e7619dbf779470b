"""``serin serve --detach``: the supervisor in a session of its own, and progress until it is ready."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from serin.clients.serving_state import FolderState, SupervisorInfo
from serin.core.errors import ServingError

_POLL_S = 0.1
_STOP_S = 30.0


def start_detached(params: Path, state: FolderState, tell: Callable[[str], None]) -> SupervisorInfo:
    """Start the supervisor and return once it is ready; if the wait is interrupted, the supervisor is stopped again.

    Raises:
        ServingError: the supervisor ended, with what it said last.
    """
    state.logs_folder.mkdir(parents=True, exist_ok=True)
    log = state.logs_folder / "serve.log"
    log.write_bytes(b"")
    with log.open("ab") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "serin", "serve", "--params", str(params), "--state", str(state.folder)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        return _wait(child, state, log, tell)
    except BaseException:
        if child.poll() is None:
            child.terminate()
            child.wait(timeout=_STOP_S)
        raise


def _wait(
    child: "subprocess.Popen[bytes]", state: FolderState, log: Path, tell: Callable[[str], None]
) -> SupervisorInfo:
    shown = 0
    while True:
        shown = _show(log, shown, tell)
        if child.poll() is not None:
            raise ServingError(_last_words(log, child.returncode))
        info = state.supervisor()
        if info is not None and info.pid == child.pid and info.ready:
            _show(log, shown, tell)
            return info
        time.sleep(_POLL_S)


def _show(log: Path, shown: int, tell: Callable[[str], None]) -> int:
    """Pass on the supervisor's own progress; whole lines only."""
    text = log.read_text(encoding="utf-8", errors="replace")
    whole = text.rfind("\n") + 1
    for line in text[shown:whole].splitlines():
        if line.startswith("serve: "):
            tell(line.removeprefix("serve: "))
    return max(shown, whole)


def _last_words(log: Path, code: int) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith("serin: ")), lines[-1] if lines else "nothing")
    return f"{said.removeprefix('serin: ')} (exit code {code}; {log})"
