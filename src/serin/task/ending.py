"""The container's last word: what the stage said last, in the few bytes that Kubernetes keeps."""

import re
from pathlib import Path

from serin.core.task import Ending, Result

MOST_BYTES = 4096
"""Kubernetes cuts a termination message there, in the middle of a character if need be."""
_MOST_CHARACTERS = 2000
_ERROR = re.compile(r"(?:\[[^\]\s]*\]:)?serin: ")
_STOPPED = re.compile(_ERROR.pattern + "stopped by SIGTERM")
_OF_TORCHRUN = re.compile(r"[EWI]\d{4} |Traceback |={20}|-{20}|\[rank\d+\]:")


class Tail:
    """The last of what was printed."""

    def __init__(self, most_bytes: int = 1 << 14) -> None:
        self._most_bytes = most_bytes
        self._data = b""

    def write(self, data: bytes) -> None:
        """Take what was printed."""
        self._data = (self._data + data)[-self._most_bytes :]

    def text(self) -> str:
        """What is left of it."""
        return self._data.decode(errors="replace")


def last_words(printed: str) -> str:
    """What a stage said last of why it ended: its own error, however many lines that has; else its last line.

    An error begins with ``serin:`` at the beginning of a line. torchrun's own words follow that of its processes, and so do those
    of the others, which it stops once one of them has failed.
    """
    lines = printed.rstrip().splitlines()
    errors = [number for number, line in enumerate(lines) if _ERROR.match(line)]
    if not errors:
        said = [line for line in lines if line.strip() and not _OF_TORCHRUN.match(line)]
        return said[-1].strip() if said else ""
    first = next((number for number in reversed(errors) if not _STOPPED.match(lines[number])), errors[-1])
    error = [_ERROR.sub("", lines[first], count=1)]
    for line in lines[first + 1 :]:
        if _OF_TORCHRUN.match(line) or _ERROR.match(line):
            break
        error.append(line)
    return "\n".join(error).strip()


def fitted(ending: Ending) -> Ending:
    """The ending, with its message and if need be its result cut until all of it fits."""
    ending = ending.model_copy(update={"message": _cut(ending.message, _MOST_CHARACTERS)})
    for result in (ending.result, _bare(ending.result), None):
        shown = ending.model_copy(update={"result": result})
        room = MOST_BYTES - len(encoded(shown.model_copy(update={"message": ""})))
        if room > 0:
            return shown.model_copy(update={"message": _cut_to(ending.message, room)})
    return ending


def encoded(ending: Ending) -> bytes:
    """As it is written."""
    return ending.model_dump_json(exclude_none=True).encode()


def write_ending(file: Path, ending: Ending) -> None:
    """Write the termination message; where there is no such file (outside a pod), or it cannot be written, nothing happens."""
    try:
        if file.parent != Path("/dev") or file.exists():
            file.write_bytes(encoded(fitted(ending)))
    except OSError:
        return


def _bare(result: Result | None) -> Result | None:
    return result.model_copy(update={"metrics": {}, "missed": []}) if result else None


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _cut_to(text: str, room_bytes: int) -> str:
    """The longest beginning of ``text`` that takes no more bytes in JSON."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        taken = len(Ending(exit_code=0, message=_cut(text, middle)).model_dump_json().encode()) - _EMPTY_BYTES
        low, high = (middle, high) if taken <= room_bytes else (low, middle - 1)
    return _cut(text, low) if low else ""


_EMPTY_BYTES = len(Ending(exit_code=0, message="").model_dump_json().encode())
