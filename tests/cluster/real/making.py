"""Counts the Jobs and JobSets that there ever were: by a watch, which misses none that is soon gone again."""

import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from serin.clients.kubernetes import Cluster, ExpiredError, Kind, UnavailableError
from serin.core.task import Stage

from ..simulated import stages_of
from .admin import Object

_WATCH_S = 5.0


class Making:
    """Watches from its beginning to its end. ``made`` has each Job once, by its uid."""

    def __init__(self, cluster: Cluster, kinds: Sequence[Kind]) -> None:
        self.made: Counter[tuple[str, Stage]] = Counter()
        self._cluster = cluster
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        # From before the first Job: a list that came later would miss those that were gone by then.
        starts = {kind: cluster.list(kind)[1] for kind in kinds}
        self._watches = [
            threading.Thread(target=self._watch, args=(kind, start), daemon=True) for kind, start in starts.items()
        ]

    def __enter__(self) -> Self:
        for watch in self._watches:
            watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for watch in self._watches:
            watch.join()

    def _watch(self, kind: Kind, version: str) -> None:
        while not self._closing.is_set():
            try:
                for event, found in self._cluster.watch(kind, version, timeout_s=_WATCH_S):
                    version = found["metadata"]["resourceVersion"]
                    if event != "BOOKMARK":
                        self._count(found)
            except UnavailableError:
                self._closing.wait(0.5)
            except ExpiredError:
                listed, version = self._cluster.list(kind)
                for found in listed:
                    self._count(found)

    def _count(self, found: Object) -> None:
        with self._lock:
            if found["metadata"]["uid"] not in self._seen:
                self._seen.add(found["metadata"]["uid"])
                self.made.update(stages_of(found))
