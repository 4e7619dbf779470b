"""One kind: listed once, then watched, and listed again from time to time, since a watch may lose something unnoticed."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from serin.clients.kubernetes import (
    AbsentError,
    Cluster,
    ExpiredError,
    ForbiddenError,
    Kind,
    Object,
    UnavailableError,
)
from serin.controller.loop.cache import Cache
from serin.core.errors import SerinError

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_SHORTEST_WATCH_S = 1.0
LONGEST_WATCH_S = 6.0
"""A watch is asked for anew so often, since one that hangs looks like one that has nothing to tell: what happens is told within
ten seconds all the same, at the price of a request every six. Bookmarks come about once a minute, which is too seldom."""


@dataclass(frozen=True)
class Watched:
    """What is watched."""

    kind: Kind
    labels: Mapping[str, str]
    optional: bool = False
    """Whether a cluster may lack this kind."""


class Watcher:
    """Keeps a cache equal to the cluster. ``run`` in a thread of its own.

    Args:
        cluster: where.
        watched: what.
        cache: what is kept.
        changed: is told of what changed, by name and by the cache's words.
        relist_s: how often everything is listed again.
        stopping: ends it.
    """

    def __init__(
        self,
        cluster: Cluster,
        watched: Watched,
        cache: Cache,
        changed: Callable[[Iterable[str]], None],
        relist_s: float,
        stopping: threading.Event,
    ) -> None:
        self.cluster = cluster
        self.watched = watched
        self.cache = cache
        self.synced = threading.Event()
        """Set once everything has been listed, or the cluster has no such kind."""
        self.turned = 0.0
        """When it did something last, were it in vain: monotonic seconds."""
        self._changed = changed
        self._relist_s = relist_s
        self._stopping = stopping
        self._version = ""

    def run(self) -> None:
        """List and watch until ``stopping``; whatever the API server answers, it is asked again."""
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            self.turned = time.monotonic()
            try:
                self._round()
                pause_s = _FIRST_PAUSE_S
                continue
            except (AbsentError, ForbiddenError) as error:
                if not self.watched.optional:
                    self._say(error)
                else:
                    # No Kueue or no JobSet, or no leave to look: both may change, so it is asked again at the next relist.
                    self.turned = time.monotonic()
                    self.synced.set()
                    _, changed = self.cache.reset([])
                    self._changed(changed)
                    self._stopping.wait(self._relist_s)
                    continue
            except ExpiredError:
                pause_s = 0.0
            except SerinError as error:
                self._say(error)
                if isinstance(error, UnavailableError) and error.retry_after_s:
                    pause_s = max(pause_s, error.retry_after_s)
            self._stopping.wait(pause_s)
            pause_s = min(max(_FIRST_PAUSE_S, pause_s * 2), _LONGEST_PAUSE_S)

    def _round(self) -> None:
        """From one list to the next."""
        self._version, changed = self.cache.reset(self.cluster.pages(self.watched.kind, self.watched.labels))
        self.turned = time.monotonic()
        self.synced.set()
        self._changed(changed)
        end = time.monotonic() + self._relist_s
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set() and (left_s := end - time.monotonic()) > 0:
            started = self.turned = time.monotonic()
            try:
                self._watch(min(max(_SHORTEST_WATCH_S, left_s), LONGEST_WATCH_S))
            except UnavailableError as error:
                self._say(error)
                self._stopping.wait(max(pause_s, error.retry_after_s or 0.0))
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                continue
            pause_s = _FIRST_PAUSE_S
            if time.monotonic() - started < _FIRST_PAUSE_S:
                # A server that ends watches at once is not to be asked a thousand times a second.
                self._stopping.wait(_FIRST_PAUSE_S)

    def _watch(self, timeout_s: float) -> None:
        """Follow what happens after the last version that was seen, until the server ends it or the connection breaks."""
        watched = self.watched
        for sort, found in self.cluster.watch(watched.kind, self._version, watched.labels, timeout_s):
            self.turned = time.monotonic()
            if sort != "BOOKMARK":
                self._took(sort, found)
            self._version = str(found["metadata"].get("resourceVersion", self._version))
            if self._stopping.is_set():
                return

    def _took(self, sort: str, found: Object) -> None:
        name = str(found["metadata"]["name"])
        before = self.cache.keys_of(name)
        new = self.cache.remove(found) if sort == "DELETED" else self.cache.put(found)
        if new:
            self._changed({name, *before, *self.cache.keys_of(name)})

    def _say(self, error: SerinError) -> None:
        _LOG.warning("watching is interrupted", extra={"kind": self.watched.kind.kind, "error": str(error)})
