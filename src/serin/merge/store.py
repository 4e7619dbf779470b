"""From the scratch folder to where models are kept."""

from pathlib import Path

from serin.clients.storage import FolderStorage, Storage
from serin.core.manifest import MANIFEST
from serin.merge.shard import sync_folder


def scratch_root(storage: Storage, runs: Path) -> Path:
    """Where merges are made: on the disk of a storage that is a folder, so that nothing has to be copied, or where runs are."""
    return storage.root / ".merges" if isinstance(storage, FolderStorage) else runs / "merges"


def keep(folder: Path, prefix: str, storage: Storage) -> None:
    """Put a model that is whole under ``prefix``, its manifest last.

    A folder on the same disk is moved at once; what is under ``prefix`` already is compared and, where it differs, mended.
    """
    if isinstance(storage, FolderStorage):
        target = storage.root / prefix
        if not folder.exists() and (target / MANIFEST).is_file():
            return  # an earlier attempt moved it
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.replace(target)
            sync_folder(target.parent)
            return
    storage.put_folder(folder, prefix, last=MANIFEST)
