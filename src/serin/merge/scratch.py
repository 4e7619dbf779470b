"""Where a merge is made: a folder that survives a kill, named by what is merged, how and by which code."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serin.clients.files import read_json, write_json
from serin.clients.storage import FolderStorage, Storage
from serin.core.errors import FinalError

_LOCK = "lock"
_DONE = "done"


def scratch_root(storage: Storage, runs: Path) -> Path:
    """Where merges are made: on the disk of a storage that is a folder, so that nothing has to be copied, or where runs are."""
    return storage.root / ".merges" if isinstance(storage, FolderStorage) else runs / "merges"


class Scratch:
    """The folder of one merge: what is done of it, and the folders of models that are being written.

    One process at a time works in it. What is ``remember``\\ ed is on the disk, so that the next start of the same merge can skip
    it; ``forget`` removes everything.
    """

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        self.folder = root / key

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; what killed merges of other inputs left beside it is removed.

        Raises:
            FinalError: another process makes this very merge.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("a+") as file:
            if not _locks(file.fileno()):
                file.seek(0)
                raise FinalError(
                    f"process {file.read().strip() or '?'} makes this very merge already (in {self.folder}): wait for it, or "
                    "stop it"
                )
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            self._sweep()
            yield

    def model(self, name: str) -> Path:
        """The folder of a model that is being written."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def recall(self, what: str) -> Any:
        """What was remembered, or None."""
        path = self._record(what)
        return read_json(path) if path.is_file() else None

    def remember(self, what: str, value: Any) -> None:
        """Keep a JSON value."""
        write_json(self._record(what), value)

    def forget(self) -> None:
        """Remove the folder; call it last, while it is locked."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self, what: str) -> Path:
        return self.folder / _DONE / f"{what}.json"

    def _sweep(self) -> None:
        for other in self._root.iterdir():
            if other == self.folder or not (other / _LOCK).is_file():
                continue
            with (other / _LOCK).open("a+") as file:
                if _locks(file.fileno()):
                    shutil.rmtree(other, ignore_errors=True)


def _locks(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
