"""A folder to S3, in parts side by side, its last file after all others."""

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from serin.clients.files import digest_of_file
from serin.clients.storage.bucket import Bucket, Listed, Part
from serin.clients.storage.contents import check_promise, names_in, promised_digests
from serin.clients.storage.faults import VanishedError
from serin.clients.storage.following import FollowingDigest
from serin.clients.storage.lanes import Lanes
from serin.core.errors import InputError, StorageError
from serin.core.manifest import MANIFEST

_MOST_PARTS = 10_000  # S3's own limit
_PASSES = 5
_own = threading.local()


def send_files(bucket: Bucket, files: Mapping[str, Path], connections: int, part_bytes: int) -> None:
    """Send each file to its key, so many requests side by side. An upload in parts that was begun is gone on with.

    Raises:
        StorageError: S3 does not take one.
    """
    for left in reversed(range(_PASSES)):
        try:
            with Lanes(connections) as lanes:
                for key, path in files.items():
                    _send_file(bucket, key, path, lanes, part_bytes)
        except VanishedError:  # another process sends the same, and was first: send it again
            if not left:
                raise
        else:
            return


def _send_file(bucket: Bucket, key: str, path: Path, lanes: Lanes, part_bytes: int) -> None:
    if path.stat().st_size <= part_bytes:
        lanes.run(lambda: bucket.put(key, path.read_bytes()))
        return
    digest = digest_of_file(path)
    begun = bucket.uploads(key).get(key, [])
    upload = begun[-1] if begun else bucket.begin(key, digest)
    outgoing = _Outgoing(bucket, key, upload, path, digest, part_bytes, begun=bool(begun))
    for number in range(outgoing.digest.count):
        lanes.run(partial(outgoing.send, number))


@dataclass(frozen=True, slots=True)
class FolderUpload:
    """``source`` to ``start`` (a key that ends with ``/``), ``last`` at the end, so many requests side by side.

    A file of one part goes with its SHA-256, and a part of a larger one with its CRC-32, which S3 compares with what arrives. The
    whole file's SHA-256, compared with the manifest's on the way, stands in the object's metadata. An object of the same size
    and digest is not sent again; an upload that was begun and not ended is gone on with; what nobody goes on with is aborted.
    """

    bucket: Bucket
    source: Path
    start: str
    last: str
    connections: int
    part_bytes: int

    def run(self) -> None:
        """Send what is not there yet.

        Raises:
            InputError: a file is not what the manifest says.
            StorageError: S3 does not take it.
        """
        for left in reversed(range(_PASSES)):
            try:
                self._send_folder()
            except VanishedError:  # another process sends the same, and was first with a file: look again
                if not left:
                    raise
            else:
                return

    def _send_folder(self) -> None:
        names = names_in(self.source, self.last)
        manifest = self.source / MANIFEST
        promised = promised_digests(manifest.read_bytes() if manifest.is_file() else None)
        stored = {listed.key.removeprefix(self.start): listed for listed in self.bucket.objects(self.start)}
        left = self._to_send(names, promised, stored)
        extra = [self.start + name for name in stored.keys() - set(names)]
        if not left and not extra:
            return
        if self.last in stored:  # a folder that is being changed is not complete
            self.bucket.delete([self.start + self.last])
        self.bucket.delete(extra)
        begun = self.bucket.uploads(self.start)
        with Lanes(self.connections) as lanes:
            for name in left:
                if name != self.last:
                    self._send(name, promised.get(name), begun, lanes)
        self.bucket.abort_all(self.start)
        if self.last in names:
            self._check_all_there(names)
            self._send_whole(self.last, promised.get(self.last))

    def _to_send(self, names: list[str], promised: Mapping[str, str], stored: Mapping[str, Listed]) -> list[str]:
        """The names that are not stored as they are here."""
        equal: set[str] = set()

        def compare(name: str) -> None:
            digest = self.bucket.describe(self.start + name).digest
            if digest is not None and digest == (promised.get(name) or digest_of_file(self.source / name)):
                equal.add(name)

        with Lanes(self.connections) as lanes:
            for name in names:
                if name in stored and stored[name].size_bytes == (self.source / name).stat().st_size:
                    lanes.run(partial(compare, name))
        return [name for name in names if name not in equal]

    def _send(self, name: str, promised: str | None, begun: Mapping[str, list[str]], lanes: Lanes) -> None:
        if (self.source / name).stat().st_size <= self.part_bytes:
            lanes.run(partial(self._send_whole, name, promised))
        else:
            self._send_parts(name, promised, begun.get(self.start + name, []), lanes)

    def _send_whole(self, name: str, promised: str | None) -> None:
        data = (self.source / name).read_bytes()
        check_promise(self.source / name, hashlib.sha256(data).hexdigest(), promised)
        self.bucket.put(self.start + name, data)

    def _send_parts(self, name: str, promised: str | None, begun: list[str], lanes: Lanes) -> None:
        path, key = self.source / name, self.start + name
        promised = promised or digest_of_file(path)
        upload = begun[-1] if begun else self.bucket.begin(key, promised)
        outgoing = _Outgoing(self.bucket, key, upload, path, promised, self.part_bytes, begun=bool(begun))
        for number in range(outgoing.digest.count):
            lanes.run(partial(outgoing.send, number))

    def _check_all_there(self, names: list[str]) -> None:
        there = {listed.key: listed.size_bytes for listed in self.bucket.objects(self.start)}
        lost = [n for n in names if n != self.last and there.get(self.start + n) != (self.source / n).stat().st_size]
        if lost:
            raise StorageError(
                f"{self.bucket.uri(self.start)} lost {', '.join(lost[:5])} while it was being written: does something else "
                "write or remove there? Run it again"
            )


class _Outgoing:
    """One file that goes in parts. Whichever thread comes to its end makes the object, if the bytes are those promised."""

    def __init__(
        self, bucket: Bucket, key: str, upload: str, path: Path, promised: str, part_bytes: int, begun: bool
    ) -> None:
        self._made = path.stat()
        self.digest = FollowingDigest(self._made.st_size, max(part_bytes, -(-self._made.st_size // _MOST_PARTS)))
        self._bucket = bucket
        self._key = key
        self._upload = upload
        self._path = path
        self._promised = promised
        self._begun = begun
        self._there = bucket.parts(key, upload) if begun else {}
        self._sent: dict[int, Part] = {}

    def send(self, number: int) -> None:
        """Send a part that is not there yet."""
        with self._path.open("rb", buffering=0) as file:
            first, count = self.digest.range_of(number)
            data = _read(file.fileno(), first, count, self._path)
            there = self._there.get(number + 1)
            if there is None or not _is_of(there, data):
                there = self._bucket.put_part(self._key, self._upload, number + 1, data)
            self._sent[number + 1] = there
            digest = self.digest.follow(number, file.fileno())
        if digest is not None:
            self._complete(digest)

    def _complete(self, digest: str) -> None:
        check_promise(self._path, digest, self._promised)
        now = self._path.stat()
        if (now.st_size, now.st_mtime_ns) != (self._made.st_size, self._made.st_mtime_ns):
            raise InputError(f"{self._path} changed while it was sent: publish it when nothing writes it")
        self._bucket.complete(self._key, self._upload, self._sent)
        # An upload that somebody else began gave the object the digest that they had in mind.
        if self._begun and self._bucket.describe(self._key).digest != self._promised:
            self._bucket.delete([self._key])
            raise VanishedError(f"{self._bucket.uri(self._key)} was begun with other bytes: run it again")


def _read(file: int, first: int, count: int, path: Path) -> bytearray:
    """A part, in this thread's own buffer, which the next one overwrites: fresh memory for each costs as much as sending."""
    if len(getattr(_own, "buffer", ())) != count:
        _own.buffer = bytearray(count)
    buffer: bytearray = _own.buffer
    if os.preadv(file, [buffer], first) != count:
        raise InputError(f"{path} became shorter while it was sent: publish it when nothing writes it")
    return buffer


def _is_of(part: Part, data: bytearray) -> bool:
    """Whether a stored part has these bytes: its ETag is their MD5, but where the server encrypts with a key of its own."""
    return part.size_bytes == len(data) and part.etag.strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest()
