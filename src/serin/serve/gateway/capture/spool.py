"""The spool: JSON lines on the node that wait for storage, in segments that outlive whoever wrote them.

<time>-<random>.jsonl     a segment; locked by whoever writes it or sends it away, so that what nobody locks is left over

A segment's name is its object's name: what is sent twice, because a process died between sending and removing, is one object.
"""

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from serin.core.captured import SUFFIX

_SEGMENTS = "*.jsonl"


@dataclass(slots=True)
class _Segment:
    path: Path
    file: int
    began: float
    size: int = 0


class Spool:
    """Writes one segment at a time. ``clock`` gives Unix seconds; several spools may share a folder."""

    def __init__(
        self, folder: Path, rotate_bytes: int, rotate_s: float, most_bytes: int, clock: Callable[[], float]
    ) -> None:
        self.folder = folder
        self._rotate_bytes = rotate_bytes
        self._rotate_s = rotate_s
        self._most_bytes = most_bytes
        self._clock = clock
        self._segment: _Segment | None = None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def append(self, lines: Sequence[bytes]) -> None:
        """Append lines, and have them on the disk. Raises OSError."""
        segment = self._segment = self._segment or self._begin()
        data = b"".join(lines)
        written = os.write(segment.file, data)
        segment.size += written
        if written < len(data):
            self.roll()  # what is torn stays the last line of its segment
            raise OSError("the disk is full")
        os.fsync(segment.file)

    @property
    def is_due(self) -> bool:
        """Whether the present segment is large or old enough to be sent."""
        segment = self._segment
        if segment is None:
            return False
        return segment.size >= self._rotate_bytes or abs(self._clock() - segment.began) >= self._rotate_s

    def roll(self) -> None:
        """Leave the present segment to whoever sends it."""
        if self._segment is not None:
            os.close(self._segment.file)
            self._segment = None

    def drop_oldest(self) -> int:
        """Remove the oldest segments that nobody holds until no more than allowed wait; returns how many lines went."""
        sizes = {path: _size_of(path) for path in sorted(self.folder.glob(_SEGMENTS))}
        excess = sum(sizes.values()) - self._most_bytes
        dropped = 0
        for path, size in sizes.items():
            if excess <= 0:
                break
            with held(path) as is_held:
                if is_held:
                    dropped += path.read_bytes().count(b"\n")
                    path.unlink()
                    excess -= size
        return dropped

    def _begin(self) -> _Segment:
        now = self._clock()
        while True:
            path = self.folder / f"{int(now * 1e6):017d}-{uuid.uuid4().hex[:12]}.jsonl"
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                return _Segment(path, file, now)
            os.close(file)  # taken for a left-over one, and removed, before it was locked


def left_over(folder: Path) -> Iterator[Path]:
    """The segments that nobody holds, oldest first; each is held while the caller has it."""
    for path in sorted(folder.glob(_SEGMENTS)):
        with held(path) as is_held:
            if is_held:
                yield path


def key_of(segment: Path, prefix: str) -> str:
    """The object that a segment becomes."""
    day = datetime.fromtimestamp(int(segment.name.split("-")[0]) / 1e6, UTC).date().isoformat()
    return f"{prefix}/{day}/{segment.stem}{SUFFIX}"


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Lock a segment that nobody else holds; false where somebody does, or where it is gone."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield os.fstat(file).st_nlink > 0
    finally:
        os.close(file)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
