"""Several logs in one stream: whole lines, each with the rank that printed it before it."""

import threading
from collections.abc import Callable

Write = Callable[[bytes], None]


class RankedLines:
    """Takes what several pods print, from several threads, and never mixes two lines."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._writing = threading.Lock()
        self._begun: dict[int, bytes] = {}

    def of(self, rank: int) -> Write:
        """Where the pod of this rank writes."""
        return lambda data: self._take(rank, data)

    def end(self, rank: int) -> None:
        """It has printed all: a last line that it did not end is one all the same."""
        if self._begun.get(rank):
            self._take(rank, b"\n")

    def _take(self, rank: int, data: bytes) -> None:
        with self._writing:
            *whole, self._begun[rank] = (self._begun.get(rank, b"") + data).split(b"\n")
            if whole:
                self._write(b"".join(b"[%d] %s\n" % (rank, line) for line in whole))
