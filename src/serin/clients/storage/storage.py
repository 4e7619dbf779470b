"""The interface that models, records and checkpoints are stored through."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

Version = str
"""Names what stood under a key when it was read; the same bytes may have the same version."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a listing says of a key. ``written`` is when its bytes were, in UTC."""

    key: str
    size_bytes: int
    written: datetime


class Storage(Protocol):
    """Keys are relative paths with ``/``; a write is whole or not there. Everything raises StorageError where storage
    does not answer, refuses, or does not hold what it should."""

    def write(self, key: str, data: bytes) -> None:
        """Store bytes under ``key``, replacing what was there."""

    def write_new(self, key: str, data: bytes) -> bool:
        """Store bytes under ``key`` if nothing is there; False means that somebody else was first."""

    def replace(self, key: str, data: bytes, expected: Version | None) -> bool:
        """Store bytes under ``key`` if what stands there is ``expected`` (None: nothing); False means that it is not."""

    def read(self, key: str) -> bytes:
        """The bytes under ``key``. Raises StorageError where there are none."""

    def read_versioned(self, key: str) -> tuple[bytes, Version] | tuple[None, None]:
        """The bytes under ``key`` and the version to ``replace`` them by; twice None where nothing is there."""

    def open(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """The bytes under ``key`` as a stream. Raises StorageError where there are none, or where they are damaged."""

    def list(self, prefix: str) -> list[str]:
        """Every key that begins with ``prefix``, sorted."""

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Every key that begins with ``prefix`` and its size in bytes, in some order."""

    def files(self, prefix: str) -> Iterator[StoredFile]:
        """What stands under every key that begins with ``prefix``, in some order."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove these keys; one that is not there is no fault."""

    def put_files(self, files: Mapping[str, Path]) -> None:
        """Store each local file under its key, several at once, replacing what was there."""

    def fetch_files(self, files: Mapping[str, Path]) -> None:
        """Write what stands under each key to its local path, several at once.

        A path is not whole before this returns, and of objects that Serin did not store only size and version are compared.
        """

    def put_folder(self, source: Path, prefix: str, last: str) -> None:
        """Make what is under the folder ``prefix`` equal to a local folder, its file ``last`` after all others.

        What is there already is not sent again. While the folder is being changed its ``last`` is not there.

        Raises:
            InputError: a file of the source is not what the manifest beside it says.
        """

    def move_folder(self, source: Path, prefix: str, last: str) -> None:
        """As ``put_folder``, for a folder that nobody needs afterwards: on a local disk it is moved at once, and not copied.

        After a kill the same call ends what the first began, also where that had moved the folder already.
        """

    def fetch_folder(self, prefix: str, destination: Path) -> Path:
        """A local folder with everything under ``prefix``: ``destination``, or the original where it is local.

        Nothing is fetched that ``destination``, or an attempt that was killed, already has.
        """

    def remove_folder(self, prefix: str, first: str) -> None:
        """Remove everything under the folder ``prefix``, the file ``first`` before all others."""

    def uri(self, key: str) -> str:
        """Where ``key`` lies, for people and for lineage."""
