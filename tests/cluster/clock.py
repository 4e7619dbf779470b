"""The cluster's clock: the real one, and what a test has put it forward by."""

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """Goes on by itself; ``advance`` puts it forward, so that no test waits for a deadline."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """In UTC."""
        with self._lock:
            return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        with self._lock:
            self._ahead += timedelta(seconds=seconds)


def stamp(moment: datetime) -> str:
    """As ``metav1.Time`` is written: whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(stamped: str) -> datetime:
    """The reverse of ``stamp``; MicroTime too."""
    return datetime.fromisoformat(stamped)
