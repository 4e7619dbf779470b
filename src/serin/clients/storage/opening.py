"""From params or an address to what is stored there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from serin.clients.storage.folder import FolderStorage
from serin.clients.storage.s3 import S3Storage
from serin.clients.storage.storage import Storage
from serin.core.errors import ConfigError, StorageError
from serin.core.params import StorageParams


def open_storage(params: StorageParams) -> Storage:
    """The storage that params name. Raises ConfigError for a kind that there is none of."""
    if params.url.startswith("s3://"):
        return S3Storage(params.url, params.endpoint_url, connections=params.connections, timeout_s=params.timeout_s)
    if "://" in params.url:
        raise ConfigError(f"storage.url = {params.url!r}: expected a folder or s3://bucket/prefix")
    return FolderStorage(Path(params.url))


def read_json_from(storage: Storage, key: str) -> Any:
    """A JSON object in storage. Raises StorageError where it is missing or damaged."""
    try:
        return json.loads(storage.read(key))
    except ValueError as error:
        raise StorageError(f"{storage.uri(key)} is not JSON ({error}): publish it again") from error


@contextmanager
def open_s3(url: str, endpoint_url: str | None) -> Iterator[IO[bytes]]:
    """The object at ``s3://bucket/key`` as a stream, which goes on where a connection breaks.

    Raises:
        StorageError: it is missing, damaged, or the stream breaks again and again.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    with S3Storage(f"s3://{bucket}", endpoint_url).open(key) as stream:
        yield stream
