"""Storage in an S3 bucket."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from serin.clients.storage.bucket import Bucket
from serin.clients.storage.download import FolderDownload, fetch_files
from serin.clients.storage.faults import (
    AbsentError,
    BusyError,
    ConflictError,
    NotOfferedError,
    explained,
    server_name,
)
from serin.clients.storage.storage import StoredFile, Version
from serin.clients.storage.stream import open_stream
from serin.clients.storage.upload import FolderUpload, send_files
from serin.core.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from botocore.loaders import Loader

_PART_BYTES = 1 << 23
_ATTEMPTS = 5
_CONNECT_TIMEOUT_S = 5.0
_BUSY_PAUSES_S = (0.1, 0.4, 1.6)


class S3Storage:
    """Storage under ``s3://bucket/prefix``; credentials come from the environment, as botocore finds them.

    Args:
        url: ``s3://bucket/prefix``.
        endpoint_url: of a server other than AWS.
        connections: how many requests of one transfer run side by side; each holds up to ``part_bytes`` in memory.
        timeout_s: how long a server may send nothing before a request is tried again. Requests are made up to
            ``AWS_MAX_ATTEMPTS`` times, 5 where that is not set.
        part_bytes: a larger file moves in parts of so many bytes; S3 wants at least 5 MiB.
        pause: how to wait before another try.

    Raises:
        ConfigError: ``url`` names no bucket.
    """

    def __init__(
        self,
        url: str,
        endpoint_url: str | None,
        *,
        connections: int = 8,
        timeout_s: float = 30.0,
        part_bytes: int = _PART_BYTES,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        from botocore.config import Config
        from botocore.session import Session

        self.bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not self.bucket:
            raise ConfigError(f"storage.url = {url!r}: expected s3://bucket/prefix")
        self.prefix = prefix.rstrip("/")
        self.connections = connections
        self.part_bytes = part_bytes
        with explained(url, endpoint_url or "AWS"):
            session = Session()
            session.register_component("data_loader", _descriptions(session.get_config_variable("data_path")))
            attempts = session.get_config_variable("max_attempts") or _ATTEMPTS
            config = Config(
                connect_timeout=_CONNECT_TIMEOUT_S,
                read_timeout=timeout_s,
                max_pool_connections=connections + 2,
                retries={"mode": "standard", "total_max_attempts": attempts},
                # Headers are signed, and hold a checksum of the body: signing that too would hash everything once more.
                s3={"payload_signing_enabled": False},
            )
            self.client = session.create_client("s3", endpoint_url=endpoint_url, config=config)
        self._bucket = Bucket(self.client, self.bucket, server_name(self.client.meta.endpoint_url), pause)

    def write(self, key: str, data: bytes) -> None:
        self._bucket.put(self._key(key), data)

    def write_new(self, key: str, data: bytes) -> bool:
        return self.replace(key, data, expected=None)

    def replace(self, key: str, data: bytes, expected: Version | None) -> bool:
        # A request whose answer was lost is sent again and then meets its own result: the writer's name tells that apart.
        writer = uuid.uuid4().hex
        condition = {"IfMatch": expected} if expected is not None else {"IfNoneMatch": "*"}
        for pause_s in (*_BUSY_PAUSES_S, None):
            try:
                self._bucket.put(self._key(key), data, writer, **condition)
            except BusyError:
                if pause_s is not None:
                    self._bucket.pause(pause_s)
            except (ConflictError, AbsentError):
                return self._was_written_by(writer, key)
            except NotOfferedError as error:
                raise StorageError(
                    f"{self._bucket.server} does not know conditional writes (If-Match, If-None-Match), without which two "
                    "publishers could overwrite each other: use a server that does"
                ) from error
            else:
                return True
        return False

    def read(self, key: str) -> bytes:
        return self._bucket.read(self._key(key))[0]

    def read_versioned(self, key: str) -> tuple[bytes, Version] | tuple[None, None]:
        try:
            return self._bucket.read(self._key(key))
        except AbsentError:
            return None, None

    def open(self, key: str) -> AbstractContextManager[IO[bytes]]:
        return open_stream(self._bucket, self._key(key))

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        return ((found.key, found.size_bytes) for found in self.files(prefix))

    def files(self, prefix: str) -> Iterator[StoredFile]:
        for found in self._bucket.objects(self._key(prefix)):
            yield StoredFile(found.key.removeprefix(self._key("")), found.size_bytes, found.written.astimezone(UTC))

    def delete(self, keys: Iterable[str]) -> None:
        self._bucket.delete(self._key(key) for key in keys)

    def put_files(self, files: Mapping[str, Path]) -> None:
        send_files(self._bucket, self._by_key(files), self.connections, self.part_bytes)

    def fetch_files(self, files: Mapping[str, Path]) -> None:
        fetch_files(self._bucket, self._by_key(files), self.connections, self.part_bytes)

    def put_folder(self, source: Path, prefix: str, last: str) -> None:
        FolderUpload(self._bucket, source, self._folder(prefix), last, self.connections, self.part_bytes).run()

    def move_folder(self, source: Path, prefix: str, last: str) -> None:
        self.put_folder(source, prefix, last)

    def fetch_folder(self, prefix: str, destination: Path) -> Path:
        FolderDownload(self._bucket, self._folder(prefix), destination, self.connections, self.part_bytes).run()
        return destination

    def remove_folder(self, prefix: str, first: str) -> None:
        start = self._folder(prefix)
        found = [stored.key for stored in self._bucket.objects(start)]
        self._bucket.delete(key for key in found if key == start + first)
        self._bucket.delete(key for key in found if key != start + first)
        self._bucket.abort_all(start)

    def uri(self, key: str) -> str:
        return self._bucket.uri(self._key(key))

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _by_key(self, files: Mapping[str, Path]) -> Mapping[str, Path]:
        return {self._key(key): path for key, path in files.items()}

    def _folder(self, prefix: str) -> str:
        return self._key(prefix.rstrip("/")) + "/"

    def _was_written_by(self, writer: str, key: str) -> bool:
        try:
            return self._bucket.describe(self._key(key)).writer == writer
        except AbsentError:
            return False


@cache
def _descriptions(folders: str | None) -> "Loader":
    """AWS's descriptions of its services, read once in a process: reading them takes most of the time of making a client."""
    from botocore.loaders import create_loader

    return create_loader(folders)
