"""Token buckets, as values: what a limit per minute allows at a moment."""

from dataclasses import dataclass, replace

BURST = 0.1
"""Share of a minute's allowance that may be used at once, so that no minute sees more than 1.1 times the limit."""
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """``level`` units are there at time ``t`` (seconds of any clock); it fills at ``rate`` a second up to ``capacity``.

    The level may fall below zero: something larger than the capacity goes through a full bucket, and is paid off.
    """

    rate: float
    capacity: float
    level: float
    t: float

    @classmethod
    def per_minute(cls, limit: float, now: float) -> "Bucket":
        """A full bucket for ``limit`` units a minute; at least one unit may be used at once."""
        capacity = max(1.0, limit * BURST)
        return cls(limit / _MINUTE_S, capacity, capacity, now)

    def at(self, now: float) -> "Bucket":
        """The bucket later on; a clock that was set back fills nothing."""
        elapsed_s = max(0.0, now - self.t)
        return replace(self, level=min(self.capacity, self.level + elapsed_s * self.rate), t=now)

    def take(self, need: float, want: float, now: float) -> tuple["Bucket", float, float]:
        """Take ``want`` units, or what is there, but not less than ``need``.

        Returns the bucket then, what was taken, and the seconds after which ``need`` will be there where nothing was.
        """
        filled = self.at(now)
        threshold = min(need, self.capacity)
        if filled.level < threshold:
            return filled, 0.0, (threshold - filled.level) / self.rate
        taken = max(need, min(want, filled.level))
        return replace(filled, level=filled.level - taken), taken, 0.0

    def give(self, units: float, now: float) -> "Bucket":
        """Give units back, or with a negative number charge for what was used already."""
        filled = self.at(now)
        return replace(filled, level=min(self.capacity, filled.level + units))
