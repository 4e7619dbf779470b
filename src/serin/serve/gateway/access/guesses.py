"""Slows down whoever presents keys that are none. A right key is never held up by others' wrong ones."""

from collections import OrderedDict
from collections.abc import Callable

from serin.serve.gateway.access.buckets import Bucket

_PER_MINUTE = 60.0
_MOST_SOURCES = 10_000


class Guesses:
    """Counts wrong keys by source; the sources that guessed longest ago are forgotten first."""

    def __init__(self, clock: Callable[[], float], per_minute: float = _PER_MINUTE) -> None:
        self.clock = clock
        self.per_minute = per_minute
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wrong(self, source: str) -> float:
        """Note a wrong key; returns the seconds that its source has to wait, 0 where it may try again."""
        now = self.clock()
        bucket = self._buckets.pop(source, None) or Bucket.per_minute(self.per_minute, now)
        bucket, _, wait_s = bucket.take(1.0, 1.0, now)
        self._buckets[source] = bucket
        if len(self._buckets) > _MOST_SOURCES:
            self._buckets.popitem(last=False)
        return wait_s
