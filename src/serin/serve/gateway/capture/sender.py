"""Sends left-over segments to storage, in a thread of its own: a storage that hangs must not keep others from spooling."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from serin.clients.storage import Storage
from serin.core.errors import SerinError
from serin.serve.gateway.capture.spool import key_of, left_over
from serin.serve.gateway.capture.table import write_table

_LOOK_S = 15.0
"""Also without a call: a replica that died may have left something."""
_log = logging.getLogger(__name__)


class Sender:
    """Takes up whatever lies in the spool's folder and nobody holds, also what other replicas left."""

    def __init__(self, folder: Path, opened: Callable[[], Storage], prefix: str) -> None:
        self.folder = folder
        self.opened = opened
        self.prefix = prefix
        self._storage: Storage | None = None
        self._called = threading.Event()
        self._stopped = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="capture-sender", daemon=True)

    def start(self) -> None:
        """Begin, with what was left over."""
        self._thread.start()

    def call(self) -> None:
        """There is something to send."""
        self._called.set()

    def close(self, timeout_s: float) -> None:
        """Send what is there, once, and end; what is not sent by then waits for the next replica."""
        self._stopped.set()
        self._called.set()
        self._thread.join(timeout_s)

    def send(self) -> None:
        """Send every left-over segment, oldest first. Raises StorageError, and leaves what could not be sent."""
        if self._storage is None:
            self._storage = self.opened()
        for segment in left_over(self.folder):
            table = self._table_of(segment) if segment.stat().st_size else None
            if table is not None:
                self._storage.put_files({key_of(segment, self.prefix): table})
                table.unlink()
            if segment.exists():
                segment.unlink()

    def _table_of(self, segment: Path) -> Path | None:
        table = segment.with_suffix(".part")
        try:
            with segment.open("rb") as lines:
                torn = write_table(lines, table)
        except (pa.ArrowException, OverflowError, TypeError) as error:
            # Later ones must not wait for it for ever.
            _log.error("%s is damaged (%s): set aside as .damaged", segment, error)
            segment.rename(segment.with_suffix(".damaged"))
            return None
        if torn:
            _log.warning("%s: %d lines were torn, and are left out", segment.name, torn)
        return table

    def _run(self) -> None:
        while True:
            stopping = self._stopped.is_set()
            self._called.clear()
            try:
                self.send()
                self._failing = False
            except (SerinError, OSError) as error:
                if not self._failing:
                    _log.warning("what was captured waits in %s: %s", self.folder, error)
                self._failing = True
            if stopping:
                return
            self._called.wait(_LOOK_S)
