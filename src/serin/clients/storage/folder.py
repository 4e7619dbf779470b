"""Storage in a local folder."""

import fcntl
import filecmp
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from serin.clients.storage.contents import names_in
from serin.clients.storage.storage import StoredFile, Version
from serin.core.digest import digest_of_bytes
from serin.core.errors import StorageError

_UNFINISHED = ".serin-unfinished"
_LOCK = ".serin-lock"


class FolderStorage:
    """Storage in a local folder. A file appears by a rename, once its bytes are on disk; conditional writes hold a lock."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, key: str, data: bytes) -> None:
        with self._locked():
            self._write(key, data)

    def write_new(self, key: str, data: bytes) -> bool:
        return self.replace(key, data, expected=None)

    def replace(self, key: str, data: bytes, expected: Version | None) -> bool:
        with self._locked():
            if self.read_versioned(key)[1] != expected:
                return False
            self._write(key, data)
            return True

    def read(self, key: str) -> bytes:
        data, _ = self.read_versioned(key)
        if data is None:
            raise self._absent(key)
        return data

    def read_versioned(self, key: str) -> tuple[bytes, Version] | tuple[None, None]:
        try:
            data = (self.root / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None, None
        return data, digest_of_bytes(data)

    @contextmanager
    def open(self, key: str) -> Iterator[IO[bytes]]:
        try:
            file = (self.root / key).open("rb")
        except FileNotFoundError as error:
            raise self._absent(key) from error
        with file:
            yield file

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key, _ in self.sizes(prefix))

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        return ((found.key, found.size_bytes) for found in self.files(prefix))

    def files(self, prefix: str) -> Iterator[StoredFile]:
        start = self.root / prefix
        for path in (start if start.is_dir() else start.parent).rglob("*"):
            key = path.relative_to(self.root).as_posix()
            if key.startswith(prefix) and not path.name.endswith((_UNFINISHED, _LOCK)):
                with suppress(FileNotFoundError):  # removed meanwhile
                    found = path.stat()
                    if stat.S_ISREG(found.st_mode):
                        yield StoredFile(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self.root / key
            path.unlink(missing_ok=True)
            self._remove_empty(path.parent)

    def put_files(self, files: Mapping[str, Path]) -> None:
        for key, path in files.items():
            _place(path, self.root / key)
            _sync((self.root / key).parent)

    def fetch_files(self, files: Mapping[str, Path]) -> None:
        for key, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(self.root / key, path)
            except FileNotFoundError as error:
                raise self._absent(key) from error

    def put_folder(self, source: Path, prefix: str, last: str) -> None:
        folder = self.root / prefix
        names = names_in(source, last)
        there = {key.removeprefix(f"{prefix.rstrip('/')}/") for key in self.list(f"{prefix.rstrip('/')}/")}
        left = [name for name in names if not _is_equal(source / name, folder / name)]
        extra = there - set(names)
        if not left and not extra:
            return
        (folder / last).unlink(missing_ok=True)
        for name in extra:
            (folder / name).unlink(missing_ok=True)
        for name in left:
            if name != last:
                _place(source / name, folder / name)
        folder.mkdir(parents=True, exist_ok=True)
        above = [path for path in folder.parents if path == self.root or self.root in path.parents]
        for path in (*(path for path in folder.rglob("*") if path.is_dir()), folder, *above):
            _sync(path)
        if last in names:
            _place(source / last, folder / last)
            _sync(folder)

    def move_folder(self, source: Path, prefix: str, last: str) -> None:
        target = self.root / prefix
        if not source.exists() and (target / last).is_file():
            return  # an earlier attempt moved it
        if target.exists() or source.stat().st_dev != _device_of(target):
            self.put_folder(source, prefix, last)
            return
        for path in source.rglob("*"):
            _sync(path)
        _sync(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        for path in target.parents:
            if path == self.root or self.root in path.parents:
                _sync(path)

    def fetch_folder(self, prefix: str, destination: Path) -> Path:  # noqa: ARG002 - the interface's, for remote ones
        folder = (self.root / prefix).absolute()
        if not folder.is_dir():
            raise self._absent(prefix)
        return folder

    def remove_folder(self, prefix: str, first: str) -> None:
        (self.root / prefix / first).unlink(missing_ok=True)
        shutil.rmtree(self.root / prefix, ignore_errors=True)
        self._remove_empty((self.root / prefix).parent)

    def uri(self, key: str) -> str:
        return (self.root / key).as_posix()

    def _absent(self, key: str) -> StorageError:
        return StorageError(f"{self.uri(key)} is not in storage: run the stage that writes it")

    def _write(self, key: str, data: bytes) -> None:
        with _unfinished(self.root / key) as unfinished:
            unfinished.write_bytes(data)
        _sync((self.root / key).parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.root and self.root in folder.parents:
            try:
                folder.rmdir()
            except OSError:  # something is in it, or it is gone
                return
            folder = folder.parent


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A file to fill that takes the place of ``path``, with its bytes on disk, where the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED)
    unfinished = Path(name)
    try:
        yield unfinished
        os.fsync(handle)
        unfinished.chmod(0o644)
        unfinished.replace(path)
    finally:
        os.close(handle)
        unfinished.unlink(missing_ok=True)


def _place(source: Path, target: Path) -> None:
    with _unfinished(target) as unfinished:
        shutil.copyfile(source, unfinished)  # by the kernel, in pieces


def _device_of(path: Path) -> int:
    """The device on which ``path`` would lie."""
    while not path.exists():
        path = path.parent
    return path.stat().st_dev


def _is_equal(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_size == other.stat().st_size and filecmp.cmp(one, other, shallow=False)
    except FileNotFoundError:
        return False


def _sync(path: Path) -> None:
    """Have a file's bytes on disk, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
