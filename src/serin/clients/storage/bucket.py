"""Requests to one S3 bucket, each with its checksum, its retries and its error in words."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from serin.clients.storage.faults import DamagedError, ForbiddenError, NotOfferedError, VanishedError, explained
from serin.core.errors import StorageError

T = TypeVar("T")
_PAUSES_S = (0.1, 0.4, 1.6, 3.2)
_CHUNK_BYTES = 1 << 20
_MOST_DELETED = 1000  # in one request: S3's own limit
DIGEST = "sha256"  # in an object's metadata: SHA-256 of the whole object, in hex


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing has it."""

    key: str
    size_bytes: int
    etag: str
    written: datetime


@dataclass(frozen=True, slots=True)
class Described:
    """An object without its bytes. ``digest`` is the SHA-256 that its writer gave it, None where that was not Serin."""

    size_bytes: int
    etag: str
    digest: str | None
    writer: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload: what S3 calls it, its size, and its CRC-32 where the server keeps that."""

    etag: str
    size_bytes: int
    crc32: str | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """``client`` is botocore's, and retries by itself what fails before an answer came or with a 5xx; here are the retries of
    what arrives cut or damaged, in either direction."""

    client: Any
    name: str
    server: str
    pause: Callable[[float], None]

    def put(self, key: str, data: bytes, writer: str | None = None, **condition: str) -> None:
        """Store an object of one part. ``condition`` is ``IfMatch`` or ``IfNoneMatch``."""
        digest = hashlib.sha256(data)
        metadata = {DIGEST: digest.hexdigest(), **({"writer": writer} if writer else {})}
        checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": base64.b64encode(digest.digest()).decode()}
        checked = {"Body": data, "Metadata": metadata, **checksum}
        self._try(key, partial(self.client.put_object, **self._at(key), **checked, **condition))

    def read(self, key: str) -> tuple[bytes, str]:
        """An object's bytes and ETag."""

        def read() -> tuple[bytes, str]:
            answer = self.client.get_object(**self._at(key))
            with self.reading(key), closing(answer["Body"]) as body:
                data: bytes = body.read()
            promised = answer["Metadata"].get(DIGEST)
            if promised not in (None, hashlib.sha256(data).hexdigest()):
                raise DamagedError(f"{self.uri(key)} is not what was stored there: store it again")
            return data, answer["ETag"]

        return self._try(key, read)

    def describe(self, key: str) -> Described:
        """What is known of an object. Raises AbsentError where there is none."""
        answer = self._try(key, partial(self.client.head_object, **self._at(key)))
        metadata = answer.get("Metadata", {})
        return Described(answer["ContentLength"], answer["ETag"], metadata.get(DIGEST), metadata.get("writer"))

    def get(self, key: str, etag: str | None, first: int, count: int | None) -> Any:
        """The answer to a request for ``count`` bytes from ``first`` on, None for all that follow; its body is yet to be read.

        Raises:
            ConflictError: the object is not ``etag`` any more.
        """
        wanted = {"Range": f"bytes={first}-{'' if count is None else first + count - 1}"} if first or count else {}
        with explained(self.uri(key), self.server):
            answer = self.client.get_object(**self._at(key), **wanted, **({"IfMatch": etag} if etag else {}))
        if count is not None and answer["ContentLength"] != count:
            answer["Body"].close()
            raise StorageError(f"{self.uri(key)}: {self.server} ignores ranges; use a server that knows them")
        return answer

    def read_range(
        self, key: str, etag: str, first: int, count: int, take: Callable[[int, bytes], None], whole: bool = False
    ) -> None:
        """Give ``count`` bytes from ``first`` on to ``take``, piece by piece with each one's offset.

        A break costs only what was not taken yet. Where ``whole`` says that this is all of the object, botocore compares it with
        the checksum that S3 has, and a break begins again.
        """
        done = 0

        def read() -> None:
            nonlocal done
            if whole:
                done = 0
            body = self.get(key, etag, first + done, None if whole else count - done)["Body"]
            with self.reading(key), closing(body):
                while chunk := body.read(_CHUNK_BYTES):
                    take(first + done, chunk)
                    done += len(chunk)

        self._try(key, read)

    def objects(self, prefix: str) -> Iterator[Listed]:
        """Every object whose key begins with ``prefix``, in S3's order."""
        token: dict[str, str] = {}
        while True:
            request = {"Bucket": self.name, "Prefix": prefix, **token}
            page = self._try(prefix, partial(self.client.list_objects_v2, **request))
            yield from (Listed(i["Key"], i["Size"], i["ETag"], i["LastModified"]) for i in page.get("Contents", []))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no fault."""
        left = list(keys)
        while left:
            some, left = left[:_MOST_DELETED], left[_MOST_DELETED:]
            objects = {"Objects": [{"Key": key} for key in some], "Quiet": True}
            answer = self._try(some[0], partial(self.client.delete_objects, Bucket=self.name, Delete=objects))
            if kept := answer.get("Errors"):
                raise StorageError(
                    f"{self.uri(kept[0]['Key'])} and {len(kept) - 1} more were not removed ({kept[0]['Code']}): check the "
                    "credentials and the bucket's policy"
                )

    # ---- uploads in parts ------------------------------------------------------------------------------------------------
    def begin(self, key: str, digest: str) -> str:
        """Begin an upload in parts of an object with this SHA-256; its id."""
        wanted = {"ChecksumAlgorithm": "CRC32", "Metadata": {DIGEST: digest}}
        begun = self._try(key, partial(self.client.create_multipart_upload, **self._at(key), **wanted))
        upload: str = begun["UploadId"]
        return upload

    def put_part(self, key: str, upload: str, number: int, data: bytearray) -> Part:
        """Send one part with its CRC-32. Raises VanishedError where the upload is gone."""
        part = {"UploadId": upload, "PartNumber": number, "Body": data, "ChecksumAlgorithm": "CRC32"}
        answer = self._try(key, partial(self.client.upload_part, **self._at(key), **part))
        return Part(answer["ETag"], len(data), answer.get("ChecksumCRC32"))

    def parts(self, key: str, upload: str) -> Mapping[int, Part]:
        """The parts that an upload has, by number."""
        found: dict[int, Part] = {}
        marker = 0
        while True:
            request = {**self._at(key), "UploadId": upload, "PartNumberMarker": marker}
            page = self._try(key, partial(self.client.list_parts, **request))
            for part in page.get("Parts", []):
                found[part["PartNumber"]] = Part(part["ETag"], part["Size"], part.get("ChecksumCRC32"))
            if not page.get("IsTruncated"):
                return found
            marker = page["NextPartNumberMarker"]

    def complete(self, key: str, upload: str, parts: Mapping[int, Part]) -> None:
        """Make an object of the parts. Raises VanishedError where the upload is gone or has other parts."""
        listed = [
            {"PartNumber": number, "ETag": part.etag, **({"ChecksumCRC32": part.crc32} if part.crc32 else {})}
            for number, part in sorted(parts.items())
        ]
        whole = {"UploadId": upload, "MultipartUpload": {"Parts": listed}}
        self._try(key, partial(self.client.complete_multipart_upload, **self._at(key), **whole))

    def uploads(self, prefix: str) -> Mapping[str, list[str]]:
        """Key to ids of the uploads under ``prefix`` that were begun and not ended, the newest last; none where the credentials
        do not allow to look."""
        found: dict[str, list[tuple[Any, str]]] = {}
        marker: dict[str, str] = {}
        while True:
            request = {"Bucket": self.name, "Prefix": prefix, **marker}
            try:
                page = self._try(prefix, partial(self.client.list_multipart_uploads, **request))
            except (ForbiddenError, NotOfferedError):
                return {}
            for upload in page.get("Uploads", []):
                found.setdefault(upload["Key"], []).append((upload["Initiated"], upload["UploadId"]))
            if not page.get("IsTruncated"):
                return {key: [upload for _, upload in sorted(uploads)] for key, uploads in found.items()}
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def abort_all(self, prefix: str) -> None:
        """End every upload that was begun under ``prefix``, so that nobody pays for its parts."""
        for key, uploads in self.uploads(prefix).items():
            for upload in uploads:
                with suppress(VanishedError):
                    self._try(key, partial(self.client.abort_multipart_upload, **self._at(key), UploadId=upload))

    # ---- how requests are made -------------------------------------------------------------------------------------------
    def uri(self, key: str) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.name}/{key}"

    @contextmanager
    def reading(self, key: str) -> Iterator[None]:
        """Around the reading of a body: a break or a stall is a DamagedError, which another request may mend."""
        from botocore.exceptions import ReadTimeoutError

        try:
            with explained(self.uri(key), self.server):
                yield
        except StorageError as error:
            if isinstance(error.__cause__, ReadTimeoutError):
                raise DamagedError(str(error)) from error
            raise

    def _try(self, key: str, request: Callable[[], T]) -> T:
        for pause_s in _PAUSES_S:
            try:
                with explained(self.uri(key), self.server):
                    return request()
            except DamagedError:
                self.pause(pause_s)
        with explained(self.uri(key), self.server):
            return request()

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.name, "Key": key}
