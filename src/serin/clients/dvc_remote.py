"""DVC's remote, read and written by content hash: no git, no DVC repository, and none of DVC's packages.

A remote of DVC 3 keeps a file whose MD5 is ``abcd…`` under ``files/md5/ab/cd…``. A folder is the list of its files' paths and
hashes, as JSON, under the MD5 of that list with ``.dir`` at its end (``Tree.as_bytes`` in dvc_data). So what stands here is what
``dvc push`` would have written, and ``dvc pull`` finds it. A folder's list goes last: where it is, its files are.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from serin.clients.files import output_folder, scratch_folder
from serin.clients.storage import Storage, open_storage
from serin.core.errors import ConfigError, StorageError
from serin.core.params import StorageParams

T = TypeVar("T")

_FILES = "dvc/files/md5"
_FOLDER_END = ".dir"
_AT_ONCE = 8
_CHUNK_BYTES = 1 << 20


def put(path: Path, storage: StorageParams) -> str:
    """Put a folder or a file into the remote, and return its hash; see ``DvcRemote.put``."""
    return DvcRemote(open_storage(storage)).put(path)


def fetch(content: str, storage: StorageParams, destination: Path) -> None:
    """Bring what has this hash to ``destination``; see ``DvcRemote.fetch``."""
    DvcRemote(open_storage(storage)).fetch(content, destination)


def has(content: str, storage: StorageParams) -> bool:
    """Whether the remote holds what has this hash, of a folder every file too; see ``DvcRemote.missing``."""
    return not DvcRemote(open_storage(storage)).missing(content)


class DvcRemote:
    """The remote ``dvc`` of a storage, whose address is ``<storage.url>/dvc``."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def put(self, path: Path) -> str:
        """Store a folder or a file under its hash, and return it: the one that ``dvc add`` gives it.

        What is there already is not sent again.

        Raises:
            ConfigError: there is nothing at ``path``.
            StorageError: storage does not take it.
        """
        if path.is_file():
            content = md5_of(path)
            self._send({content: path})
            return content
        if not path.is_dir():
            raise ConfigError(f"{path} is not there: expected a folder or a file to put into {self.storage.uri('dvc')}")
        names = sorted(found.relative_to(path).as_posix() for found in path.rglob("*") if found.is_file())
        contents = _at_once(lambda name: md5_of(path / name), names)
        self._send({content: path / name for name, content in contents.items()})
        data = listed(contents)
        content = hashlib.md5(data, usedforsecurity=False).hexdigest() + _FOLDER_END
        if not self._is_there(content):
            self.storage.write(key_of(content), data)
        return content

    def fetch(self, content: str, destination: Path) -> None:
        """Bring a folder or a file to ``destination``, which appears when every byte of it is compared with its hash.

        Raises:
            ConfigError: storage does not hold it.
            StorageError: storage does not answer, or holds other bytes than the hash says.
        """
        if lost := self.missing(content):
            raise ConfigError(
                f"{self.storage.uri(key_of(lost[0]))} is not in storage, so {content} is not whole: bring it there with "
                "'serin job submit' or 'dvc push', or mend the hash"
            )
        if not content.endswith(_FOLDER_END):
            with scratch_folder(destination) as scratch:
                self._receive({scratch / "file": content})
                (scratch / "file").replace(destination)
            return
        with output_folder(destination) as folder:
            self._receive({folder / name: found for name, found in self._read_list(content).items()})

    def missing(self, content: str) -> list[str]:
        """The hashes of what the remote lacks of ``content``: itself, or files of the folder that it is. Empty: it is whole.

        Raises:
            StorageError: storage does not answer, or the folder's list is damaged.
        """
        if not self._is_there(content):
            return [content]
        if not content.endswith(_FOLDER_END):
            return []
        there = _at_once(self._is_there, sorted(set(self._read_list(content).values())))
        return [found for found, is_there in there.items() if not is_there]

    def _send(self, files: Mapping[str, Path]) -> None:
        """Store files under their hashes; one of the same hash and size is there already."""

        def is_there(content: str) -> bool:
            size = files[content].stat().st_size
            return dict(self.storage.sizes(key_of(content))).get(key_of(content)) == size

        there = _at_once(is_there, files)
        self.storage.put_files({key_of(content): path for content, path in files.items() if not there[content]})

    def _receive(self, files: Mapping[Path, str]) -> None:
        """Fetch each hash once, and compare it; equal files of a folder are one object."""
        first: dict[str, Path] = {}
        for path, content in files.items():
            first.setdefault(content, path)
        self.storage.fetch_files({key_of(content): path for content, path in first.items()})
        found = _at_once(lambda content: md5_of(first[content]), first)
        for content, is_ in found.items():
            if content != is_:
                raise self._damaged(content)
        for path, content in files.items():
            if path != first[content]:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.hardlink_to(first[content])

    def _read_list(self, content: str) -> dict[str, str]:
        """Path to hash of a folder's files."""
        data = self.storage.read(key_of(content))
        if hashlib.md5(data, usedforsecurity=False).hexdigest() + _FOLDER_END != content:
            raise self._damaged(content)
        try:
            files = {str(entry["relpath"]): str(entry["md5"]) for entry in json.loads(data)}
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(content) from error
        for name in files:
            if name.startswith("/") or not {"", ".", ".."}.isdisjoint(name.split("/")):
                raise StorageError(
                    f"{self.storage.uri(key_of(content))} names {name!r}, outside its own folder: remove it"
                )
        return files

    def _is_there(self, content: str) -> bool:
        return key_of(content) in self.storage.list(key_of(content))

    def _damaged(self, content: str) -> StorageError:
        return StorageError(
            f"{self.storage.uri(key_of(content))} holds other bytes than its name says: remove it, and put it there again "
            "('serin job submit' or 'dvc push')"
        )


def key_of(content: str) -> str:
    """Where in storage a hash lies."""
    return f"{_FILES}/{content[:2]}/{content[2:]}"


def listed(contents: Mapping[str, str]) -> bytes:
    """A folder's list, from each file's path to its MD5: byte for byte what DVC hashes."""
    files = [{"md5": content, "relpath": name} for name, content in sorted(contents.items())]
    return json.dumps(files, sort_keys=True).encode()


def md5_of(path: Path) -> str:
    """The MD5 of a file's bytes, by which DVC knows it."""
    hasher = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def _at_once(function: Callable[[str], T], values: Iterable[str]) -> dict[str, T]:
    values = list(values)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(values, pool.map(function, values), strict=True))
