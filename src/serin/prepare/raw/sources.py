"""Which files the sources name, local or in S3, and each of them as a stream of bytes, unpacked."""

import fnmatch
import glob
import io
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from serin.core.errors import InputError
from serin.core.params import SourceParams

Kind = Literal["jsonl", "json", "csv", "parquet"]
Compression = Literal["gzip", "zstd"]

_KINDS: Mapping[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_COMPRESSIONS: Mapping[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
_EXPECTED = f"{', '.join(_KINDS)} (all but .parquet also with .gz or .zst)"
_SPOOLED_BYTES = 1 << 24
_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class RawFile:
    """One file of a source. ``name`` says which in reports and records; ``path`` opens it."""

    path: str
    name: str
    kind: Kind
    compression: Compression | None
    size_bytes: int
    source: SourceParams

    @property
    def is_remote(self) -> bool:
        """Whether it lies in S3."""
        return self.path.startswith("s3://")


def find_files(sources: Sequence[SourceParams], endpoint_url: str | None = None) -> list[RawFile]:
    """The files that sources name, each once, in the order of the sources and, within one, of the names.

    Sources for ``test`` and ``validation`` come first: what is read first stays, and its likes elsewhere go.

    Raises:
        InputError: a source that names nothing, or a file of a kind that cannot be read.
    """
    found: dict[str, RawFile] = {}
    for source in sorted(sources, key=lambda s: {"test": 0, "validation": 1}.get(s.split or "", 2)):
        listed = _in_s3(source.path, endpoint_url) if source.path.startswith("s3://") else _on_disk(source.path)
        if not listed:
            raise InputError(
                f"{source.path} holds no data: expected a file, folder or glob of {_EXPECTED}; edit prepare.sources"
            )
        for path, name, size_bytes in listed:
            kind, compression = _kind_of(path)
            if kind is None:
                raise InputError(f"{path} is of an unknown kind: expected {_EXPECTED}; edit prepare.sources")
            found.setdefault(path, RawFile(path, name, kind, compression, size_bytes, source))
    names = Counter(file.name for file in found.values())
    return [file if names[file.name] == 1 else replace(file, name=_full(file)) for file in found.values()]


def _full(file: RawFile) -> str:
    return file.path if file.is_remote or not Path(file.path).is_absolute() else file.path.lstrip("/")


def _kind_of(path: str) -> tuple[Kind | None, Compression | None]:
    suffixes = PurePosixPath(path).suffixes
    compression = _COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    rest = suffixes[:-1] if compression else suffixes
    kind = _KINDS.get(rest[-1].lower()) if rest else None
    return (None, None) if kind == "parquet" and compression else (kind, compression)


def _on_disk(source: str) -> list[tuple[str, str, int]]:
    root = Path(source)
    if root.is_dir():
        paths = [p for p in sorted(root.rglob("*")) if p.is_file() and _kind_of(p.name)[0] and not _is_hidden(p, root)]
        return [(p.as_posix(), p.relative_to(root).as_posix(), p.stat().st_size) for p in paths]
    if root.is_file():
        return [(root.as_posix(), root.name, root.stat().st_size)]
    paths = [Path(name) for name in sorted(glob.glob(source, recursive=True))]  # noqa: PTH207 - Path.glob refuses absolute patterns
    return [(p.as_posix(), p.name, p.stat().st_size) for p in paths if p.is_file()]


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _in_s3(url: str, endpoint_url: str | None) -> list[tuple[str, str, int]]:
    from serin.clients.storage import S3Storage

    bucket, _, key = url.removeprefix("s3://").partition("/")
    fixed = key[: min((key.index(c) for c in "*?[" if c in key), default=len(key))]
    listed = []
    for found, size_bytes in S3Storage(f"s3://{bucket}", endpoint_url).sizes(fixed):
        if fixed != key:
            wanted, name = fnmatch.fnmatchcase(found, key), PurePosixPath(found).name
        elif key.endswith("/") or not key:
            wanted, name = _kind_of(found)[0] is not None, found.removeprefix(key)
        else:
            wanted, name = found == key, PurePosixPath(found).name
        if wanted:
            listed.append((f"s3://{bucket}/{found}", name, size_bytes))
    return listed


@contextmanager
def open_bytes(file: RawFile, endpoint_url: str | None = None) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked as they are read.

    Raises:
        InputError: it is gone, cut short, or not packed as its name says; also while it is being read.
    """
    with _opened(file, endpoint_url) as raw, _unpacked(file, raw) as stream:
        yield stream


@contextmanager
def open_seekable(file: RawFile, endpoint_url: str | None = None) -> Iterator[IO[bytes]]:
    """The file's bytes where a reader has to jump about in them (Parquet); a remote file is copied first."""
    with _opened(file, endpoint_url) as raw:
        if not file.is_remote:
            yield raw
            return
        with tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES) as local:
            while chunk := raw.read(1 << 20):
                local.write(chunk)
            local.seek(0)
            yield local


def _opened(file: RawFile, endpoint_url: str | None) -> Any:
    if file.is_remote:
        from serin.clients.storage import open_s3

        return open_s3(file.path, endpoint_url)
    try:
        return Path(file.path).open("rb")
    except OSError as error:
        raise InputError(f"{file.path} cannot be read ({error.strerror}): check the file and its rights") from error


@contextmanager
def _unpacked(file: RawFile, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    """Arrow's streams notice what is cut short, which gzip and zstandard for Python do not always do."""
    if file.compression is None:
        yield raw
        return
    import pyarrow

    try:
        packed = pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, mode="r"), file.compression)
        with io.BufferedReader(packed, _BUFFER_BYTES) as stream:
            yield stream
    except OSError as error:
        if error.errno is not None:
            raise
        raise InputError(
            f"{file.path} is cut short, damaged or not {file.compression} ({error}): get the file again, whole"
        ) from error
