"""A folder from S3, in ranges side by side; it appears when every byte of it is compared."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from serin.clients.files import digest_of_file
from serin.clients.storage.bucket import Bucket, Listed
from serin.clients.storage.contents import promised_digests
from serin.clients.storage.faults import AbsentError, ConflictError
from serin.clients.storage.following import FollowingDigest
from serin.clients.storage.lanes import Lanes
from serin.core.digest import digest_of_bytes
from serin.core.errors import StorageError
from serin.core.manifest import MANIFEST

_PASSES = 4
_LISTINGS = 3


def fetch_files(bucket: Bucket, files: Mapping[str, Path], connections: int, part_bytes: int) -> None:
    """Fetch the object of each key to its path, so many requests side by side.

    Raises:
        StorageError: one is not there, or arrives otherwise than it was stored.
    """
    good: set[str] = set()
    with Lanes(connections) as lanes:
        for key, path in files.items():
            told = bucket.describe(key)
            incoming = _Incoming(
                bucket, key, told.etag, told.size_bytes, path, told.digest, part_bytes, partial(good.add, key)
            )
            for number in range(incoming.digest.count):
                lanes.run(partial(incoming.fetch, number))
    if bad := sorted(files.keys() - good):
        raise StorageError(
            f"{bucket.uri(bad[0])} arrived with other bytes than stored: run it again, or store it again"
        )


@dataclass(frozen=True, slots=True)
class FolderDownload:
    """``start`` (a key that ends with ``/``) to ``destination``, so many requests side by side.

    Each file is compared with the digest that the folder's manifest has for it, or that the object was stored with; one that
    arrived damaged is fetched again. Of an object that Serin did not store, and no manifest names, size and version are checked,
    and what botocore checks. Files stand in a hidden folder beside ``destination`` until all are there, also after a kill.
    """

    bucket: Bucket
    start: str
    destination: Path
    connections: int
    part_bytes: int

    def run(self) -> None:
        """Fetch what is not there yet.

        Raises:
            StorageError: there is nothing, something is missing, or it does not arrive whole.
        """
        try:
            with _locked(self.destination.with_name(f".{self.destination.name}.lock")):
                self._fetch_listed()
        except OSError as error:
            raise StorageError(
                f"{self.destination} cannot be written ({error.strerror}): make room, or check it"
            ) from error

    def _fetch_listed(self) -> None:
        for left in reversed(range(_LISTINGS)):
            try:
                self._fetch_folder()
            except (ConflictError, AbsentError) as error:  # it is not any more what was listed
                if not left:
                    raise StorageError(
                        f"{self.bucket.uri(self.start)} changes while it is fetched: fetch it again when nothing writes there"
                    ) from error
            else:
                return

    def _fetch_folder(self) -> None:
        listed = {self._name_of(found.key): found for found in self.bucket.objects(self.start) if found.key[-1] != "/"}
        if not listed:
            raise StorageError(f"{self.bucket.uri(self.start)} is not in storage: run the stage that writes it")
        digests = self._digests(listed)
        if self._good_in(self.destination, listed, digests) == listed.keys() == _names_under(self.destination):
            return
        partial_folder = self.destination.with_name(f".{self.destination.name}.partial")
        for name in _names_under(partial_folder) - listed.keys():
            (partial_folder / name).unlink()
        good = self._good_in(partial_folder, listed, digests)
        for _ in range(_PASSES):
            if left := sorted(listed.keys() - good):
                self._fetch(partial_folder, [listed[name] for name in left], digests, good)
        if left := sorted(listed.keys() - good):
            raise StorageError(
                f"{self.bucket.uri(self.start)}: {', '.join(left[:5])} arrived {_PASSES} times with other bytes than stored: "
                f"check the network to {self.bucket.server}, or write the folder again"
            )
        shutil.rmtree(self.destination, ignore_errors=True)
        partial_folder.replace(self.destination)

    def _name_of(self, key: str) -> str:
        name = key.removeprefix(self.start)
        if not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise StorageError(
                f"{self.bucket.uri(key)} would be written outside {self.destination}: remove it from storage"
            )
        return name

    def _digests(self, listed: Mapping[str, Listed]) -> Mapping[str, str]:
        """SHA-256 by name, of every file that a manifest or the object itself tells of."""
        manifest = self.bucket.read(self.start + MANIFEST)[0] if MANIFEST in listed else None
        digests = dict(promised_digests(manifest))
        if manifest is not None:
            digests[MANIFEST] = digest_of_bytes(manifest)
        if lost := sorted(digests.keys() - listed.keys()):
            raise StorageError(
                f"{self.bucket.uri(self.start)} lacks {', '.join(lost[:5])}, which its manifest names: run the stage that "
                "writes it again"
            )

        def describe(name: str) -> None:
            if digest := self.bucket.describe(self.start + name).digest:
                digests[name] = digest

        with Lanes(self.connections) as lanes:
            for name in sorted(listed.keys() - digests.keys()):
                lanes.run(partial(describe, name))
        return digests

    def _good_in(self, folder: Path, listed: Mapping[str, Listed], digests: Mapping[str, str]) -> set[str]:
        """The names that stand in a local folder as they are stored."""
        good: set[str] = set()

        def check(name: str) -> None:
            if digest_of_file(folder / name) == digests[name]:
                good.add(name)

        with Lanes(self.connections) as lanes:
            for name in _names_under(folder) & digests.keys() & listed.keys():
                if (folder / name).stat().st_size == listed[name].size_bytes:
                    lanes.run(partial(check, name))
        return good

    def _fetch(self, folder: Path, left: list[Listed], digests: Mapping[str, str], good: set[str]) -> None:
        """Fetch these objects, and add to ``good`` the names of those that arrived as they are stored."""
        with Lanes(self.connections) as lanes:
            for found in left:
                name = found.key.removeprefix(self.start)
                incoming = _Incoming(
                    self.bucket,
                    found.key,
                    found.etag,
                    found.size_bytes,
                    folder / name,
                    digests.get(name),
                    self.part_bytes,
                    partial(good.add, name),
                )
                for number in range(incoming.digest.count):
                    lanes.run(partial(incoming.fetch, number))


class _Incoming:
    """One file that arrives in parts."""

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        etag: str,
        size_bytes: int,
        path: Path,
        promised: str | None,
        part_bytes: int,
        done: Callable[[], None],
    ) -> None:
        self.digest = FollowingDigest(size_bytes, part_bytes)
        self._bucket = bucket
        self._key = key
        self._etag = etag
        self._path = path
        self._promised = promised
        self._done = done
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(size_bytes)

    def fetch(self, number: int) -> None:
        """Fetch one part; the file is done when all are there and have the digest that was promised."""
        first, count = self.digest.range_of(number)
        with self._path.open("r+b", buffering=0) as file:

            def put(offset: int, data: bytes) -> None:
                os.pwrite(file.fileno(), data, offset)

            if count:
                whole = self.digest.count == 1
                self._bucket.read_range(self._key, self._etag, first, count, put, whole)
            digest = self.digest.follow(number, file.fileno())
        if digest is not None and self._promised in (None, digest):
            self._done()


def _names_under(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the others wait, and then find the work done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
