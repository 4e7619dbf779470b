"""The log, in storage while it is written: in parts, which put together are what the pod printed."""

import threading

from serin.clients.storage import Storage

PART_BYTES = 1 << 16
_MOST_BYTES = 4 << 20


class LogParts:
    """Takes what is printed, and stores all that has come since the last part as the next one.

    What could not be stored is kept and tried again. At most ``most_bytes`` wait beside a part under way: beyond that the oldest
    are dropped, and the log says how many.
    """

    def __init__(self, storage: Storage, prefix: str, most_bytes: int = _MOST_BYTES) -> None:
        self._storage = storage
        self._prefix = prefix
        self._most_bytes = most_bytes
        self._changing = threading.Lock()
        self._waiting = bytearray()
        self._lost_bytes = 0
        self._part = b""
        self._number = 1

    def write(self, data: bytes) -> bool:
        """Take what was printed; whether there is enough for a part."""
        with self._changing:
            self._waiting += data
            if (over := len(self._waiting) - self._most_bytes) > 0:
                del self._waiting[:over]
                self._lost_bytes += over
            return len(self._waiting) >= PART_BYTES

    def send(self) -> None:
        """Store what waits. Raises StorageError where storage does not take it; it is kept then."""
        while part := self._next_part():
            self._storage.write(f"{self._prefix}/{self._number:05d}.log", part)
            with self._changing:
                self._part = b""
                self._number += 1

    def _next_part(self) -> bytes:
        with self._changing:
            if not self._part:
                lost = f"\n[{self._lost_bytes} bytes of the log are lost: storage did not answer]\n"
                self._part = (lost.encode() if self._lost_bytes else b"") + bytes(self._waiting)
                self._lost_bytes = 0
                self._waiting.clear()
            return self._part
