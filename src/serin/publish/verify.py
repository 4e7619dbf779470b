"""Every stored byte of a model against its manifest, read as a stream: memory does not depend on the model's size."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from pydantic import ValidationError

from serin.clients.storage import Storage
from serin.core.errors import InputError, StorageError
from serin.core.manifest import MANIFEST, Manifest
from serin.core.revision import Revision

_CHUNK_BYTES = 1 << 20
_THREADS = 4

Progress = Callable[[int, int], None]
"""Hears how many bytes of how many were read, from one thread at a time."""


def verify_stored(storage: Storage, prefix: str, revision: Revision, progress: Progress = lambda *_: None) -> Manifest:
    """Compare every stored byte with the manifest, and the manifest with the digest; returns the manifest.

    Raises:
        InputError: files are missing, are too many or differ, or the manifest is another model's.
    """
    manifest = read_stored_manifest(storage, prefix)
    if manifest.digest != revision.digest:
        raise InputError(
            f"{storage.uri(prefix)} holds {manifest.digest[:12]}, expected {revision.digest[:12]}: {_MERGE_AGAIN}"
        )
    start = f"{prefix}/"
    sizes = {key.removeprefix(start): size_bytes for key, size_bytes in storage.sizes(start)}
    if wrong := sorted((sizes.keys() - {MANIFEST}) ^ manifest.files.keys()):
        raise InputError(f"{storage.uri(prefix)} is damaged: {_named(wrong)} missing or too many; {_MERGE_AGAIN}")

    reader = _Reader(storage, sum(sizes[name] for name in manifest.files), progress)

    def differs(name: str) -> bool:
        return reader.digest_of(start + name) != manifest.files[name]

    names = sorted(manifest.files)
    with ThreadPoolExecutor(_THREADS) as pool:
        changed = [name for name, wrong in zip(names, pool.map(differs, names), strict=True) if wrong]
    if changed:
        raise InputError(
            f"{storage.uri(prefix)} is damaged: {_named(changed)} differ from its manifest; {_MERGE_AGAIN}"
        )
    return manifest


def read_stored_manifest(storage: Storage, prefix: str) -> Manifest:
    """The manifest of a model in storage. Raises InputError where the model is not there or not complete."""
    try:
        manifest = Manifest.model_validate(json.loads(storage.read(f"{prefix}/{MANIFEST}")))
    except StorageError as error:
        if storage.list(f"{prefix}/{MANIFEST}"):
            raise
        raise InputError(f"{storage.uri(prefix)} is not there, or not complete: {_MERGE_AGAIN}") from error
    except (ValidationError, ValueError) as error:
        raise InputError(f"{storage.uri(f'{prefix}/{MANIFEST}')} is no manifest: {_MERGE_AGAIN}") from error
    if manifest.kind != "model":
        raise InputError(f"{storage.uri(prefix)} holds a {manifest.kind}, expected a model: check the pointer")
    return manifest


# A stage cannot run another one: what merge writes is named by its content, so running it again gives back the same.
_MERGE_AGAIN = "run 'serin merge' again, which comes to the same digest"


def _named(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" and more" if len(names) > 5 else "")


class _Reader:
    """Digests of stored files, and how far all of them are together."""

    def __init__(self, storage: Storage, total_bytes: int, progress: Progress) -> None:
        self._storage = storage
        self._total_bytes = total_bytes
        self._progress = progress
        self._done_bytes = 0
        self._lock = Lock()

    def digest_of(self, key: str) -> str:
        hasher = hashlib.sha256()
        with self._storage.open(key) as file:
            while chunk := file.read(_CHUNK_BYTES):
                hasher.update(chunk)
                with self._lock:
                    self._done_bytes += len(chunk)
                    self._progress(self._done_bytes, self._total_bytes)
        return hasher.hexdigest()
