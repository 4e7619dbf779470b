"""The work that is to be done: each item at most once, never by two workers at a time, and later again where it failed."""

import heapq
import random
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

_FIRST_S = 0.2
_LONGEST_S = 60.0


class WorkQueue(Generic[Item]):
    """Items in the order in which they came.

    An item that is added while it is worked at is handed out again afterwards, so that nothing that came meanwhile is missed.

    Args:
        clock: monotonic seconds.
        jitter: a number in [0, 1), which spreads what failed together.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._ready: dict[Item, float] = {}
        self._later: dict[Item, float] = {}
        self._heap: list[tuple[float, int, Item]] = []
        self._active: set[Item] = set()
        self._again: set[Item] = set()
        self._failures: dict[Item, int] = {}
        self._count = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """How many wait to be worked at now."""
        with self._changed:
            return len(self._ready) + len(self._again)

    def add(self, item: Item) -> None:
        """To be done as soon as a worker is free."""
        with self._changed:
            self._add(item)

    def add_after(self, item: Item, seconds: float) -> None:
        """To be done then at the latest."""
        with self._changed:
            due = self._clock() + seconds
            if due < self._later.get(item, float("inf")):
                self._later[item] = due
                self._count += 1
                heapq.heappush(self._heap, (due, self._count, item))
                self._changed.notify()

    def retry(self, item: Item, at_least_s: float | None = None) -> float:
        """To be done again after a failure: twice as late as the last time, up to a minute; in how many seconds.

        Args:
            item: what failed.
            at_least_s: what the server asked to wait.
        """
        with self._changed:
            failures = self._failures.get(item, 0)
            self._failures[item] = failures + 1
        longest = min(_LONGEST_S, _FIRST_S * 2.0 ** min(failures, 16))
        # Full jitter over the upper half: spread out, yet never at once again.
        seconds: float = max(longest * (0.5 + 0.5 * self._jitter()), (at_least_s or 0.0) * (1 + 0.1 * self._jitter()))
        self.add_after(item, seconds)
        return seconds

    def succeeded(self, item: Item) -> None:
        """The next failure is a first one again."""
        with self._changed:
            self._failures.pop(item, None)

    def take(self) -> Item | None:
        """The next one, waiting for one; None once the queue is closed. ``done`` must follow."""
        with self._changed:
            while not self._closed:
                wait_s = self._promote()
                if self._ready:
                    return self._hand_out()
                self._changed.wait(wait_s)
            return None

    def take_now(self) -> Item | None:
        """The next one that is due; None where there is none, or the queue is closed. ``done`` must follow."""
        with self._changed:
            self._promote()
            return self._hand_out() if self._ready and not self._closed else None

    def done(self, item: Item) -> None:
        """What ``take`` gave has been worked at."""
        with self._changed:
            self._active.discard(item)
            if item in self._again:
                self._again.discard(item)
                self._add(item)

    def forget(self, item: Item) -> None:
        """What was to be done later need not be: it is gone."""
        with self._changed:
            self._later.pop(item, None)
            self._failures.pop(item, None)

    def oldest_s(self) -> float:
        """How long the first one has waited."""
        with self._changed:
            return self._clock() - next(iter(self._ready.values())) if self._ready else 0.0

    def close(self) -> None:
        """Hand out no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _add(self, item: Item) -> None:
        if item in self._active:
            self._again.add(item)
        elif item not in self._ready:
            self._ready[item] = self._clock()
            self._changed.notify()

    def _hand_out(self) -> Item:
        item = next(iter(self._ready))
        del self._ready[item]
        self._active.add(item)
        return item

    def _promote(self) -> float | None:
        """Move what is due; how long until the next is."""
        now = self._clock()
        while self._heap:
            due, _, item = self._heap[0]
            if self._later.get(item) == due:
                if due > now:
                    return due - now
                del self._later[item]
                self._add(item)
            heapq.heappop(self._heap)
        return None
