"""Why a revision did not load, in its own words: out of Serve's message, or where that names only the consequence, of its log."""

import re
from pathlib import Path

_ERROR = re.compile(r"\b((?:\w+\.)*[A-Z]\w*(?:Error|Exception|Interrupt)): (.*\S)")
_CONSEQUENCES = ("Engine core initialization failed", "Traceback", "ray::", "The actor died", "Error running callback")
"""What other errors end in; the one that began it stands elsewhere."""
_TAIL_BYTES = 256 << 10
_LONGEST = 400


def last_error(text: str) -> str | None:
    """The last exception that a text shows and that is no mere consequence; None where there is none."""
    found = [match for match in _ERROR.finditer(text) if not any(word in match[0] for word in _CONSEQUENCES)]
    if not found:
        return None
    said = f"{found[-1][1].rpartition('.')[2]}: {found[-1][2]}"
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


def why(message: str, logs: Path, since: float) -> str:
    """Why a replica failed.

    Args:
        message: Serve's, with the traceback of its constructor; empty where it never got that far.
        logs: the folder of Ray's logs.
        since: Unix seconds; logs that were not written since are others'.
    """
    own = last_error(message)
    if own is not None:
        return own
    recent = [path for path in logs.glob("worker-*.err") if path.stat().st_mtime >= since]
    for path in sorted(recent, key=lambda path: path.stat().st_mtime, reverse=True):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            own = last_error(file.read().decode(errors="replace"))
        if own is not None:
            return own
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else ""
