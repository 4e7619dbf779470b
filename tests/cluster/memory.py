"""Storage in this process: what a crash of the controller does not touch, as fast as a test of thousands of requests needs it."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from serin.clients.storage import StoredFile, Version
from serin.core.errors import StorageError


class MemoryStorage:
    """``serin.clients.storage.Storage`` without folders, which no controller moves."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}

    def write(self, key: str, data: bytes) -> None:
        """Store bytes."""
        self._held[key] = data

    def write_new(self, key: str, data: bytes) -> bool:
        """Store bytes where nothing is."""
        return self._held.setdefault(key, data) is data

    def replace(self, key: str, data: bytes, expected: Version | None) -> bool:
        """Store bytes in the place of others."""
        if self.read_versioned(key)[1] != expected:
            return False
        self._held[key] = data
        return True

    def read(self, key: str) -> bytes:
        """The bytes. Raises StorageError."""
        if key not in self._held:
            raise StorageError(f"{self.uri(key)} is not there")
        return self._held[key]

    def read_versioned(self, key: str) -> tuple[bytes, Version] | tuple[None, None]:
        """The bytes and their version."""
        data = self._held.get(key)
        return (None, None) if data is None else (data, hashlib.md5(data).hexdigest())

    def open(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """The bytes as a stream."""
        return nullcontext(io.BytesIO(self.read(key)))

    def list(self, prefix: str) -> list[str]:
        """Keys."""
        return sorted(key for key in self._held if key.startswith(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys and sizes."""
        yield from ((key, len(self._held[key])) for key in self.list(prefix))

    def files(self, prefix: str) -> Iterator[StoredFile]:
        """Keys, sizes and times."""
        yield from (StoredFile(key, size, datetime.now(UTC)) for key, size in self.sizes(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys."""
        for key in keys:
            self._held.pop(key, None)

    def uri(self, key: str) -> str:
        """Where a key lies."""
        return f"s3://serin/cluster/{key}"

    def put_folder(self, source: Path, prefix: str, last: str, consume: bool = False) -> None:
        """Not needed by a controller."""
        raise NotImplementedError

    def fetch_folder(self, prefix: str, destination: Path) -> Path:
        """Not needed by a controller."""
        raise NotImplementedError

    def remove_folder(self, prefix: str, first: str) -> None:
        """Not needed by a controller."""
        raise NotImplementedError


class Moody(MemoryStorage):
    """Counts what it is asked, and may stay silent."""

    silent = False
    asked = 0

    def read_versioned(self, key: str) -> tuple[bytes, Version] | tuple[None, None]:
        """The bytes and their version. Raises StorageError while it is silent."""
        self.asked += 1
        if self.silent:
            raise StorageError("timed out")
        return super().read_versioned(key)

    def list(self, prefix: str) -> list[str]:
        """The keys. Raises StorageError while it is silent."""
        if self.silent:
            raise StorageError("timed out")
        return super().list(prefix)
