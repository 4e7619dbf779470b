"""The file of keys: a local one that ``serin keys`` edits, or a Kubernetes Secret that a volume mounts."""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from serin.clients.files import write_atomically
from serin.core.errors import ConfigError
from serin.serve.gateway.access.keys import KeyRing, Keys

_log = logging.getLogger(__name__)


class KeyFile:
    """Reads, and edits under a lock. The file is replaced whole, with mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Keys:
        """What the file holds. Raises ConfigError where it is missing or damaged."""
        try:
            return Keys.model_validate_json(self.path.read_bytes())
        except FileNotFoundError as error:
            raise ConfigError(f"{self.path} is missing: 'serin keys create' makes it") from error
        except (ValidationError, ValueError) as error:
            raise ConfigError(
                f"{self.path}: {_first_fault(error)}; 'serin keys list' shows the form expected"
            ) from error

    def change(self, change: Callable[[Keys], Keys]) -> Keys:
        """Write ``change`` of what the file holds; a missing file holds no keys."""
        with self._locked():
            present = self.read() if self.path.exists() else Keys()
            wanted = change(present)
            write_atomically(self.path, wanted.model_dump_json(indent=2).encode() + b"\n", mode=0o600)
            return wanted

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f".{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class WatchedKeys:
    """The ring that is in force: read anew when the file changes; a file that cannot be read changes nothing.

    A Secret's volume swaps a link, so the file's identity changes with its contents.
    """

    def __init__(self, file: KeyFile) -> None:
        self.file = file
        self._stamp = self._stamp_now()
        self.ring = KeyRing.of(file.read())

    def poll(self) -> None:
        """Follow the file; call it every second or so."""
        stamp = self._stamp_now()
        if stamp is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.ring = KeyRing.of(self.file.read())
        except ConfigError as error:
            _log.error("keys stay as they were: %s", error)
        else:
            _log.info("%d keys are in force", len(self.ring.by_hash))

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            seen = self.file.path.stat()
        except FileNotFoundError:
            return None
        return seen.st_mtime_ns, seen.st_ino, seen.st_size


def _first_fault(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in fault['loc']) or 'file'}: {fault['msg']}"
    return str(error)
