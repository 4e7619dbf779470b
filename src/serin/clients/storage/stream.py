"""An object in S3 as a stream that outlives its connections."""

import hashlib
import io
from contextlib import closing
from typing import IO, Any

from serin.clients.storage.bucket import DIGEST, Bucket
from serin.clients.storage.faults import DamagedError
from serin.core.errors import StorageError

_BUFFER_BYTES = 1 << 18
_PAUSES_S = (0.1, 0.4, 1.6, 3.2)


def open_stream(bucket: Bucket, key: str) -> IO[bytes]:
    """The object's bytes from the beginning. Raises AbsentError where there is none."""
    return io.BufferedReader(_Stream(bucket, key), _BUFFER_BYTES)


class _Stream(io.RawIOBase):
    """Where a connection breaks, another one goes on at the same byte of the same version of the object. At its end the whole is
    compared with the SHA-256 that the object was stored with."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._read_bytes = 0
        self._hasher = hashlib.sha256()
        answer = bucket.get(key, None, 0, None)
        self._body: Any = answer["Body"]
        self._etag: str = answer["ETag"]
        self._size_bytes: int = answer["ContentLength"]
        self._promised: str | None = answer["Metadata"].get(DIGEST)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._read_bytes == self._size_bytes:
            self._check()
            return 0
        for pause_s in (*_PAUSES_S, None):
            try:
                return self._read_some(buffer)
            except DamagedError:
                self._close_body()
                if pause_s is None:
                    raise
                self._bucket.pause(pause_s)
        raise AssertionError("the last try returns or raises")

    def _read_some(self, buffer: Any) -> int:
        if self._body is None:
            self._body = self._bucket.get(self._key, self._etag, self._read_bytes, None)["Body"]
        with self._bucket.reading(self._key):
            count: int = self._body.readinto(buffer)
        if not count:
            raise DamagedError(f"{self._bucket.uri(self._key)} ends too early: store it again")
        self._read_bytes += count
        self._hasher.update(memoryview(buffer)[:count])
        return count

    def _check(self) -> None:
        if self._body is not None:
            with self._bucket.reading(self._key):
                self._body.read(1)  # at the end botocore compares all that this connection gave with S3's own checksum
        if self._promised not in (None, self._hasher.hexdigest()):
            raise StorageError(f"{self._bucket.uri(self._key)} arrived damaged: run it again, or store it again")

    def close(self) -> None:
        self._close_body()
        super().close()

    def _close_body(self) -> None:
        if self._body is not None:
            with closing(self._body):
                self._body = None
