"""Models on a node: fetched from storage by whoever needs one first, shared by its replicas, and pruned by the next fetch.

<folder>/<label>/        a model, every file of it compared with the digests that storage keeps
<folder>/<label>.lock    shared for as long as a replica lives, and held exclusively while the model is removed
<folder>/<label>.fetching  held exclusively by the replica that fetches it; others of the node wait for that alone
"""

import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from serin.clients.storage import Storage, open_storage
from serin.core.params import StorageParams

MODELS_VARIABLE = "SERIN_MODELS"
STORAGE_VARIABLE = "SERIN_STORAGE"
ENDPOINT_VARIABLE = "SERIN_STORAGE_ENDPOINT"
"""The node's folder of models, and where storage is; of an S3 server other than AWS also its address."""
_UNUSED_KEPT = 1
"""Models that no replica uses and that stay nevertheless: the one of before comes back fastest."""


def storage_of(environment: Mapping[str, str]) -> Storage:
    """The storage that a pod's environment names."""
    endpoint = environment.get(ENDPOINT_VARIABLE) or None
    return open_storage(StorageParams(url=environment[STORAGE_VARIABLE], endpoint_url=endpoint))


def hold_model(storage: Storage, prefix: str, folder: Path) -> IO[bytes]:
    """Have a model in ``folder``, and keep it there for as long as the returned file is open.

    Where another replica of this node fetches it at this moment, that one is waited for.

    Raises:
        StorageError: storage does not hold it whole, or does not answer.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock_of(folder).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        prune(folder.parent, spared=folder, keep=_UNUSED_KEPT)
        with folder.with_name(f"{folder.name}.fetching").open("ab") as fetching:
            fcntl.flock(fetching, fcntl.LOCK_EX)
            found = storage.fetch_folder(prefix, folder)
            if found != folder and not folder.exists():
                folder.symlink_to(found, target_is_directory=True)
        os.utime(_lock_of(folder))
    except BaseException:
        lock.close()
        raise
    return lock


def prune(models: Path, spared: Path, keep: int) -> list[Path]:
    """Remove the models that no replica holds, but for ``spared`` and those of the last ``keep`` fetches; returns them."""
    locks = sorted(models.glob("*.lock"), key=lambda path: path.stat().st_mtime, reverse=True)
    removed = []
    for path in locks:
        folder = path.with_suffix("")
        if folder == spared or not os.path.lexists(folder):
            continue
        with path.open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if keep > 0:
                keep -= 1
                continue
            # The lock's file stays: whoever waits for it must not hold one that nobody else can find.
            if folder.is_symlink():
                folder.unlink()
            else:
                shutil.rmtree(folder)
            removed.append(folder)
    return removed


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
