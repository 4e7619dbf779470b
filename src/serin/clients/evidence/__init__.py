"""Rows of evidence on their way from gateways to rollouts. One rule: a row is written once, and read as often as one likes.

A gateway appends rows through an ``EvidenceWriter``; a rollout reads them through an ``EvidenceReader``, from a position of
each source that it keeps beside what it concluded from them. Both exist for a folder that gateway and rollout share, and for
storage, where the sources are streams of immutable objects.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Row = Mapping[str, Any]
"""One outcome or feedback, as a gateway logs it."""


class EvidenceWriter(Protocol):
    """Of one gateway replica. Neither call waits for a disk that is full or for storage that does not answer."""

    dropped: int
    """Rows that found no room while nothing could be written."""

    def append(self, row: Row) -> None:
        """Write a row as soon as that is possible."""

    def close(self) -> None:
        """Write what is left, as far as that is possible in a few seconds."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of one source that follow each other."""

    source: str
    start: int
    end: int
    """Where the next chunk of this source starts."""
    rows: tuple[Row, ...]


class EvidenceReader(Protocol):
    """Of all gateways."""

    def read(self, positions: Mapping[str, int], since_t: float) -> Iterator[Chunk]:
        """What lies behind these positions, and all of the sources that they do not name.

        Args:
            positions: where to go on, by source; it may change while the chunks are taken.
            since_t: Unix seconds; a source that was written last before that may be left out.

        Raises:
            StorageError: storage does not answer.
        """
