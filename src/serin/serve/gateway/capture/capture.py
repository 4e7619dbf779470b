"""The observer that captures a sample of the requests, and what is thought of their answers.

The event loop hands bodies over and goes on. A thread reads, redacts and spools them; another sends what is spooled. Where
either falls behind, something is dropped and counted: no client ever waits.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from serin.clients.storage import Storage
from serin.core.params import CaptureParams
from serin.core.traffic import unit_position
from serin.serve.gateway.capture.answers import PATHS
from serin.serve.gateway.capture.rows import RowWriter, UncapturableError
from serin.serve.gateway.capture.sender import Sender
from serin.serve.gateway.capture.spool import Spool
from serin.serve.gateway.finished import Finished
from serin.serve.gateway.rating import Rating
from serin.serve.gateway.request_id import RequestIdentity
from serin.serve.gateway.shadow import ARM as SHADOW

_SALT = "capture"
_WAITING = 2048
_WAITING_BYTES = 64 << 20
_OPEN = 256
"""Requests whose answers are held at a time."""
_BATCH = 64
_POLL_S = 0.5
_END_S = 20.0
_MIB = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """Where to count what was captured and, with a reason, what was not."""

    captured: Callable[[int], None]
    dropped: Callable[[str, int], None]


class Capture:
    """Drawn by the request's id, so that every replica knows of a feedback whether its request was captured."""

    def __init__(
        self,
        params: CaptureParams,
        folder: Path,
        opened: Callable[[], Storage],
        clock: Callable[[], float],
        counts: Counts,
    ) -> None:
        """``folder`` holds the spool, which the replicas of a node share; ``opened`` opens storage, in a thread."""
        self.sample = params.sample
        self._rows = RowWriter(params.personal_data)
        self._spool = Spool(folder, params.rotate_mib * _MIB, params.rotate_s, params.spool_mib * _MIB, clock)
        self._sender = Sender(folder, opened, params.prefix)
        self._counts = counts
        self._waiting: queue.SimpleQueue[Finished | Rating | None] = queue.SimpleQueue()
        # Each of the two is written by one thread only.
        self._given_bytes = 0
        self._taken_bytes = 0
        self._open: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        """Begin, with what a replica before this one left."""
        self._thread.start()
        self._sender.start()

    def close(self) -> None:
        """Spool what waits and send it, as far as that goes in time; the rest is taken up by the next replica."""
        self._waiting.put(None)
        self._thread.join(_END_S)
        self._sender.close(_END_S)

    def wants_bodies(self, identity: RequestIdentity) -> bool:
        """Whether the request is in the sample, and there is room to hold its answer."""
        if identity.arm == SHADOW or not self._is_drawn(identity.nonce):
            return False
        if len(self._open) >= _OPEN:
            self._counts.dropped("busy", 1)
            return False
        self._open.add(identity.nonce)
        return True

    def finished(self, record: Finished) -> None:
        """Hand a captured request over."""
        if record.shadow or record.identity.nonce not in self._open:
            return
        self._open.discard(record.identity.nonce)
        if record.bodies is not None and record.bodies.answer and record.status == 200 and record.path in PATHS:
            self._hand_over(record)

    def rated(self, rating: Rating) -> None:
        """Hand the feedback for a captured request over."""
        if self._is_drawn(rating.identity.nonce):
            self._hand_over(rating)

    def _is_drawn(self, nonce: str) -> bool:
        return unit_position(nonce, _SALT) < self.sample

    def _hand_over(self, item: Finished | Rating) -> None:
        waiting_bytes = self._given_bytes - self._taken_bytes
        if self._waiting.qsize() >= _WAITING or waiting_bytes > _WAITING_BYTES:
            self._counts.dropped("busy", 1)
            return
        self._given_bytes += _size_of(item)
        self._waiting.put(item)

    def _run(self) -> None:
        ending = False
        while not ending:
            items, ending = self._taken()
            lines = [line for item in items if (line := self._line(item)) is not None]
            if lines:
                self._write(lines)
            if ending or self._spool.is_due:
                self._spool.roll()
                self._sender.call()

    def _taken(self) -> tuple[list[Finished | Rating], bool]:
        """What waits, up to a batch, and whether it is the last."""
        items: list[Finished | Rating] = []
        try:
            while len(items) < _BATCH:
                item = self._waiting.get(timeout=0.0 if items else _POLL_S)
                if item is None:
                    return items, True
                self._taken_bytes += _size_of(item)
                items.append(item)
        except queue.Empty:
            pass
        return items, False

    def _line(self, item: Finished | Rating) -> bytes | None:
        try:
            row: dict[str, Any] = self._rows.feedback(item) if isinstance(item, Rating) else self._rows.exchange(item)
            return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        except UncapturableError as error:
            self._counts.dropped(error.reason, 1)
            return None

    def _write(self, lines: list[bytes]) -> None:
        try:
            self._spool.append(lines)
            self._counts.captured(len(lines))
            if dropped := self._spool.drop_oldest():
                self._counts.dropped("spool_full", dropped)
        except OSError as error:
            _log.warning("nothing can be spooled (%s)", error)
            self._counts.dropped("disk", len(lines))


def _size_of(item: Finished | Rating) -> int:
    if isinstance(item, Rating):
        return len(item.comment or "")
    return 0 if item.bodies is None else len(item.bodies.request) + len(item.bodies.answer)
