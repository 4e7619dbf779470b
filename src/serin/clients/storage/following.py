"""The digest of a file whose parts become ready in any order, by the threads that make them ready."""

import hashlib
import os
import threading

_CHUNK_BYTES = 1 << 20


class FollowingDigest:
    """SHA-256 of a file in ``count`` parts, which follows behind the parts that are ready from the beginning on.

    So a file's bytes are hashed once and in order, while they are still in the page cache, and no thread waits for another.
    """

    def __init__(self, size_bytes: int, part_bytes: int) -> None:
        self.count = max(1, -(-size_bytes // part_bytes))
        self._size_bytes = size_bytes
        self._part_bytes = part_bytes
        self._hasher = hashlib.sha256()
        self._ready: set[int] = set()
        self._hashed = 0
        self._busy = False
        self._changing = threading.Lock()

    def range_of(self, number: int) -> tuple[int, int]:
        """Offset and size in bytes of a part, from 0."""
        first = number * self._part_bytes
        return first, min(self._part_bytes, self._size_bytes - first)

    def follow(self, number: int, file: int) -> str | None:
        """Part ``number`` is ready in ``file``; gives the whole file's digest to the thread that comes to its end."""
        with self._changing:
            self._ready.add(number)
        while True:
            with self._changing:
                if self._busy or self._hashed not in self._ready:
                    return None
                self._busy = True
            self._hash(*self.range_of(self._hashed), file)
            with self._changing:
                self._hashed += 1
                self._busy = False
                if self._hashed == self.count:
                    return self._hasher.hexdigest()

    def _hash(self, first: int, count: int, file: int) -> None:
        for offset in range(first, first + count, _CHUNK_BYTES):
            self._hasher.update(os.pread(file, min(_CHUNK_BYTES, first + count - offset), offset))
