"""Storage for models and records: a folder or an S3 bucket behind one small interface."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from serin.clients.files import write_atomically
from serin.core.errors import ConfigError, StorageError
from serin.core.params import StorageParams


class Storage(Protocol):
    """Keys are relative paths with ``/``; a write is whole or not there."""

    def write(self, key: str, data: bytes) -> None:
        """Store bytes under ``key``, replacing what was there."""

    def read(self, key: str) -> bytes:
        """The bytes under ``key``. Raises StorageError where there are none."""

    def list(self, prefix: str) -> list[str]:
        """Every key that begins with ``prefix``, sorted."""

    def put_folder(self, source: Path, prefix: str, last: str) -> None:
        """Copy a folder's files under ``prefix``, the file ``last`` after all others."""

    def fetch_folder(self, prefix: str, destination: Path) -> Path:
        """A local folder with everything under ``prefix``: ``destination``, or the original where it is local."""

    def remove_folder(self, prefix: str, first: str) -> None:
        """Remove everything under the folder ``prefix``, the file ``first`` before all others."""

    def uri(self, key: str) -> str:
        """Where ``key`` lies, for people and for lineage."""


class FolderStorage:
    """Storage in a local folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, key: str, data: bytes) -> None:
        write_atomically(self.root / key, data)

    def read(self, key: str) -> bytes:
        try:
            return (self.root / key).read_bytes()
        except FileNotFoundError as error:
            raise StorageError(f"{self.uri(key)} is not in storage: run the stage that writes it") from error

    def list(self, prefix: str) -> list[str]:
        start = self.root / prefix
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in (start if start.is_dir() else start.parent).rglob("*")
            if path.is_file() and path.relative_to(self.root).as_posix().startswith(prefix)
        )

    def put_folder(self, source: Path, prefix: str, last: str) -> None:
        for name in _names(source, last):
            write_atomically(self.root / prefix / name, (source / name).read_bytes())

    def fetch_folder(self, prefix: str, destination: Path) -> Path:  # noqa: ARG002 - the interface's, for remote ones
        return (self.root / prefix).absolute()

    def remove_folder(self, prefix: str, first: str) -> None:
        (self.root / prefix / first).unlink(missing_ok=True)
        shutil.rmtree(self.root / prefix, ignore_errors=True)

    def uri(self, key: str) -> str:
        return (self.root / key).as_posix()


class S3Storage:
    """Storage in an S3 bucket; credentials come from the environment, as boto3 finds them."""

    def __init__(self, url: str, endpoint_url: str | None) -> None:
        import boto3

        self.bucket, _, self.prefix = url.removeprefix("s3://").partition("/")
        self.client: Any = boto3.client("s3", endpoint_url=endpoint_url)

    def write(self, key: str, data: bytes) -> None:
        with _s3_errors(self.uri(key)):
            self.client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data)

    def read(self, key: str) -> bytes:
        with _s3_errors(self.uri(key)):
            body: bytes = self.client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read()
            return body

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Every key that begins with ``prefix`` and its size in bytes, in S3's order."""
        with _s3_errors(self.uri(prefix)):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self._key(prefix))
            for page in pages:
                yield from ((i["Key"].removeprefix(self._key("")), i["Size"]) for i in page.get("Contents", []))

    def put_folder(self, source: Path, prefix: str, last: str) -> None:
        for name in _names(source, last):
            key = f"{prefix.rstrip('/')}/{name}"
            with _s3_errors(self.uri(key)):
                self.client.upload_file(str(source / name), self.bucket, self._key(key))

    def fetch_folder(self, prefix: str, destination: Path) -> Path:
        start = prefix.rstrip("/") + "/"
        scratch = destination.with_name(f".{destination.name}.partial")
        shutil.rmtree(scratch, ignore_errors=True)
        for key in self.list(start):
            target = scratch / key.removeprefix(start)
            target.parent.mkdir(parents=True, exist_ok=True)
            with _s3_errors(self.uri(key)):
                self.client.download_file(self.bucket, self._key(key), str(target))
        if not scratch.is_dir():
            raise StorageError(f"{self.uri(prefix)} is not in storage: run the stage that writes it")
        shutil.rmtree(destination, ignore_errors=True)
        scratch.replace(destination)
        return destination

    def remove_folder(self, prefix: str, first: str) -> None:
        start = prefix.rstrip("/") + "/"
        keys = self.list(start)
        for key in sorted(keys, key=lambda key: key != start + first):
            with _s3_errors(self.uri(key)):
                self.client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._key(key)}"

    def _key(self, key: str) -> str:
        return f"{self.prefix.rstrip('/')}/{key}" if self.prefix else key


def open_storage(params: StorageParams) -> Storage:
    """The storage that params name. Raises ConfigError for a kind that there is none of."""
    if params.url.startswith("s3://"):
        return S3Storage(params.url, params.endpoint_url)
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
    """The object at ``s3://bucket/key`` as a stream. Raises StorageError where it is missing or the stream breaks."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    with (
        _s3_errors(url),
        closing(S3Storage(f"s3://{bucket}", endpoint_url).client.get_object(Bucket=bucket, Key=key)["Body"]) as body,
    ):
        yield body


def _names(source: Path, last: str) -> list[str]:
    names = sorted(p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file())
    return [*(name for name in names if name != last), *([last] if last in names else [])]


@contextmanager
def _s3_errors(where: str) -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise StorageError(f"{where}: {error}; check storage.url, the bucket and the credentials") from error
