"""How much is under way: a request beyond the bounds is refused at once, since a queue would only make everybody wait."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from serin.core.errors import ServingError

RETRY_AFTER_S = 1


class FullError(ServingError):
    """No room for another request now."""


class Admission:
    """Counts what one gateway replica relays, in all and to each revision."""

    def __init__(self, most: int, most_per_revision: int) -> None:
        self.most = most
        self.most_per_revision = most_per_revision
        self.under_way = 0
        self.by_revision: Counter[str] = Counter()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a place in this replica. Raises FullError."""
        if self.under_way >= self.most:
            raise FullError(f"this gateway relays {self.most} requests already: try again in {RETRY_AFTER_S} s")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    def take(self, revision: str) -> None:
        """Take a place at a revision, to be given back by ``release``. Raises FullError."""
        if self.by_revision[revision] >= self.most_per_revision:
            raise FullError(
                f"{revision} answers {self.most_per_revision} requests of this gateway already: "
                f"try again in {RETRY_AFTER_S} s"
            )
        self.by_revision[revision] += 1

    def release(self, revision: str) -> None:
        """Give a place back."""
        self.by_revision[revision] -= 1
        if not self.by_revision[revision]:
            del self.by_revision[revision]
