"""Evidence in storage: each start of a gateway replica is a stream of numbered objects, each written once.

rollouts/evidence/streams/<stream>              says that the stream lives, and which number was next when; written again
                                                every few minutes
rollouts/evidence/rows/<stream>/<number>.jsonl  some rows; numbers count up from 0 without a gap, but for those that were
                                                removed because they are old (see ``removal``)
"""

import json
import logging
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from serin.clients.evidence import Chunk, Row
from serin.clients.evidence.lines import line_of, rows_of
from serin.clients.storage import Storage
from serin.core.errors import StorageError

_LOG = logging.getLogger(__name__)
STREAMS = "rollouts/evidence/streams/"
ROWS = "rollouts/evidence/rows/"
DEAD_S = 3600.0
"""A stream without a sign of life for so long has said all; clocks of gateways and storage may differ by a part of it."""
_SHIP_S = 1.0
_SIGN_OF_LIFE_S = 300.0
_MARKS = 2000
"""Times that a sign of life tells the numbers of at most; of more, every second one is forgotten."""
_CLOSE_S = 10.0
_LONGEST_PAUSE_S = 30.0
_WAITING_BYTES = 64 << 20
_OBJECT_BYTES = 4 << 20


class StorageWriter:
    """Ships rows once a second from a thread of its own. While storage is away they wait in memory.

    A row that was appended less than a second before a kill -9 may be lost; none is ever written twice: an object whose
    writing was not answered is written again, the same bytes under the same number, if it is not there.

    Args:
        storage: where to.
        replica: the gateway's name; every start of it is a stream of its own.
        ship_s: between objects.
        waiting_bytes: the most that waits; rows beyond that are dropped and counted.
        now: Unix seconds, for signs of life.
    """

    def __init__(
        self,
        storage: Storage,
        replica: str,
        ship_s: float = _SHIP_S,
        waiting_bytes: int = _WAITING_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.stream = f"{re.sub('[^A-Za-z0-9_-]', '-', replica)}-{secrets.token_hex(6)}"
        self.dropped = 0
        self._storage = storage
        self._ship_s = ship_s
        self._now = now
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = waiting_bytes
        self._bytes = 0
        self._under_way = b""
        self._number = 0
        self._marks: list[tuple[float, int]] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)
        self._thread.start()

    def append(self, row: Row) -> None:
        """Leave a row to the thread."""
        line = line_of(row)
        with self._lock:
            if self._bytes + len(line) > self._waiting_bytes:
                self.dropped += 1
            else:
                self._lines.append(line)
                self._bytes += len(line)

    def close(self) -> None:
        """Ship what is left."""
        self._stopping.set()
        self._thread.join(_CLOSE_S)

    def ship(self) -> bool:
        """Write what waits, as far as one object takes it; whether more is left. Raises StorageError."""
        if not self._under_way:
            self._under_way = self._taken()
        if not self._under_way:
            return False
        now = self._now()
        if not self._marks or abs(now - self._marks[-1][0]) >= _SIGN_OF_LIFE_S:
            # The first one stays: it says when the stream began.
            kept = self._marks if len(self._marks) < _MARKS else self._marks[::2]
            marks = [*kept, (now, self._number)]
            self._storage.write(STREAMS + self.stream, json.dumps(marks).encode())
            self._marks = marks
        # Not new: an earlier try of this very object arrived, and its answer did not.
        self._storage.write_new(key_of(self.stream, self._number), self._under_way)
        with self._lock:
            self._bytes -= len(self._under_way)
            self._under_way = b""
            self._number += 1
            return bool(self._lines)

    def _taken(self) -> bytes:
        with self._lock:
            taken: list[bytes] = []
            size = 0
            while self._lines and size < _OBJECT_BYTES:
                taken.append(self._lines.popleft())
                size += len(taken[-1])
        return b"".join(taken)

    def _run(self) -> None:
        pause_s = self._ship_s
        while not self._stopping.wait(pause_s):
            pause_s = self._ship_all(pause_s)
        self._ship_all(pause_s)

    def _ship_all(self, pause_s: float) -> float:
        """Ship everything; how long to wait before the next time."""
        try:
            while self.ship():
                pass
        except StorageError as error:
            _LOG.warning("evidence waits in memory (%d bytes): %s", self._bytes, error)
            return min(max(pause_s, self._ship_s) * 2, _LONGEST_PAUSE_S)
        return self._ship_s


class StorageReader:
    """Reads every stream that lives. A position is the number of the next object."""

    def __init__(self, storage: Storage, now: Callable[[], float] = time.time) -> None:
        self._storage = storage
        self._now = now
        self._read_at: dict[str, float] = {}

    def read(self, positions: Mapping[str, int], since_t: float) -> Iterator[Chunk]:
        """Objects in their order; the first number that is not there ends a stream for now."""
        signs = {found.key.removeprefix(STREAMS): found.written.timestamp() for found in self._storage.files(STREAMS)}
        for stream, sign_t in sorted(signs.items()):
            if sign_t + DEAD_S < self._read_at.get(stream, since_t):
                continue  # it was read to its end after its last sign of life
            began = self._now()
            number = positions[stream] if stream in positions else self._first_since(stream, since_t)
            while (data := self._read(stream, number)) is not None:
                yield Chunk(stream, number, number + 1, tuple(rows_of(data.splitlines())))
                number += 1
            self._read_at[stream] = began

    def _first_since(self, stream: str, t: float) -> int:
        """The number from which on a stream that is there tells what was after ``t``."""
        marks = marks_of(self._storage.read(STREAMS + stream))
        first = number_at(marks, t)
        # What is lower than the newest mark's number was written: where it is not there it was removed, and does not come.
        *written, newest = first, *sorted({number for _, number in marks if number > first})
        return next((number for number in written if self._read(stream, number) is not None), newest)

    def _read(self, stream: str, number: int) -> bytes | None:
        return self._storage.read_versioned(key_of(stream, number))[0]


def key_of(stream: str, number: int) -> str:
    """Where an object of a stream lies."""
    return f"{ROWS}{stream}/{number:09d}.jsonl"


def marks_of(sign: bytes) -> list[tuple[float, int]]:
    """What a sign of life tells: times, and the number that came next."""
    return [(float(t), int(number)) for t, number in json.loads(sign)]


def number_at(marks: Sequence[tuple[float, int]], t: float) -> int:
    """The number from which on a stream tells what was after ``t``; all of it where it began later."""
    return max((number for at, number in marks if at <= t), default=0)
