"""The file of a log: it turns over, and may lose lines.

Rollouts decide by evidence, so that is not written here: the writer of ``clients/evidence/folder`` keeps in memory what a full
disk does not take, and its file only grows.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)


class LogFile:
    """Appends to one file of one process. A line is one ``write`` to an O_APPEND descriptor: whole or not there.

    A disk that is full loses lines for good: they are counted, and never fail the request that a line tells of.
    """

    def __init__(self, path: Path, rotate_bytes: int | None = None, keep: int = 0) -> None:
        """Beyond ``rotate_bytes`` the file becomes ``<path>.1``, that one ``<path>.2``, and so on up to ``keep``."""
        self.path = path
        self.lost = 0
        self.on_loss: Callable[[], None] = lambda: None
        self._rotate_bytes = rotate_bytes
        self._keep = keep
        self._torn = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def append(self, line: bytes) -> None:
        """Append a line that ends with a line end."""
        try:
            if self._rotate_bytes is not None and self._size + len(line) > self._rotate_bytes and self._size:
                self._rotate()
            written = os.write(self._file, b"\n" + line if self._torn else line)
        except OSError as error:
            self._lose(str(error))
            return
        self._size += written
        whole = len(line) + self._torn
        if written < whole:
            # Its end is missing; the next line begins a new one, and a reader leaves the torn one out.
            self._torn = True
            self._lose("the disk is full")
        else:
            self._torn = False

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._file)

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        os.close(self._file)
        self._open()

    def _lose(self, reason: str) -> None:
        if not self.lost:
            _log.error("%s takes no more lines (%s): make room; what is lost is counted", self.path, reason)
        self.lost += 1
        self.on_loss()
