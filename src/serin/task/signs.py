"""Signs of life: ``alive.json`` while an attempt runs, ``ended.json`` when it could say so itself.

One that memory's keeper killed could not, and the next attempt reads from what it left that it has to take less.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from serin.clients.storage import Storage, read_json_from
from serin.core.errors import StorageError
from serin.core.task import attempt_prefix
from serin.task.memory import Memory, read_memory

ALIVE, ENDED = "alive.json", "ended.json"
_EVERY_S = 10.0
_NEAR = 0.9
_TOGETHER = timedelta(minutes=2)
"""Pods that train together fall together: their last signs of life are not further apart."""


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class Signs:
    """What one attempt leaves. ``beat`` is called about once a second, and writes every ten seconds, and at once where memory
    comes near its limit: whoever is killed for memory has no more time than that."""

    def __init__(
        self,
        storage: Storage,
        prefix: str,
        pod: str,
        memory: Callable[[], Memory | None] = read_memory,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._storage = storage
        self._folder = attempt_prefix(prefix, pod)
        self._read = memory
        self._clock = clock
        self._now = now
        self._started = now().isoformat(timespec="seconds")
        self._first = memory()
        self._peak = self._first
        self._written_at: float | None = None
        self._told_near = False

    @property
    def killed_for_memory(self) -> bool:
        """Whether the kernel has killed a process of this container since the attempt began."""
        return self._first is not None and self._peak is not None and self._peak.kills > self._first.kills

    def beat(self) -> None:
        """Look at memory, and write if it is time. Raises StorageError where storage does not take it."""
        self._look()
        is_near = self._peak is not None and self._peak.used_bytes >= _NEAR * self._peak.limit_bytes
        due = self._written_at is None or self._clock() - self._written_at >= _EVERY_S
        if due or (is_near and not self._told_near):
            self._write(ALIVE, {})
            self._written_at, self._told_near = self._clock(), is_near

    def end(self, exit_code: int, took_too_much: bool = False) -> None:
        """Write that the attempt has ended; ``took_too_much``: it says itself that memory ran out.

        Raises:
            StorageError: storage does not take it.
        """
        self._look()
        fell = self.killed_for_memory or took_too_much
        self._write(ENDED, {"exit_code": exit_code, "killed_for_memory": fell})

    def _look(self) -> None:
        found = self._read()
        if found is not None:
            used = max(found.used_bytes, self._peak.used_bytes) if self._peak else found.used_bytes
            self._peak = replace(found, used_bytes=used)

    def _write(self, name: str, more: dict[str, Any]) -> None:
        told = {
            "started": self._started,
            "updated": self._now().isoformat(timespec="seconds"),
            "memory_peak_bytes": self._peak.used_bytes if self._peak else None,
            "memory_limit_bytes": self._peak.limit_bytes if self._peak else None,
            **more,
        }
        self._storage.write(f"{self._folder}/{name}", json.dumps(told, indent=2).encode())


@dataclass(frozen=True, slots=True)
class _Attempt:
    alive: datetime
    folder: str
    has_ended: bool


def fell_to_memory(storage: Storage, prefix: str, pod: str) -> bool:
    """Whether the last attempt at a stage was killed for memory, as far as what it left says so.

    It was, where it said so itself, or where it ended without a word within 5 % of its limit. Storage that does not answer: no.
    """
    try:
        start = f"{prefix}/attempts/"
        written = {found.key: found.written for found in storage.files(start)}
        attempts = [
            _Attempt(at, folder, f"{folder}/{ENDED}" in written)
            for key, at in written.items()
            if key.endswith(f"/{ALIVE}") and (folder := key.removesuffix(f"/{ALIVE}")) != attempt_prefix(prefix, pod)
        ]
        newest = max((attempt.alive for attempt in attempts), default=None)
        last = [attempt for attempt in attempts if newest is not None and newest - attempt.alive <= _TOGETHER]
        return any(_fell(storage, attempt) for attempt in last)
    except StorageError:
        return False


def _fell(storage: Storage, attempt: _Attempt) -> bool:
    if attempt.has_ended:
        return bool(read_json_from(storage, f"{attempt.folder}/{ENDED}").get("killed_for_memory"))
    told = read_json_from(storage, f"{attempt.folder}/{ALIVE}")
    used, limit = told.get("memory_peak_bytes"), told.get("memory_limit_bytes")
    return used is not None and limit is not None and Memory(used, limit, 0).is_close
