"""Rows through storage: none is lost while it is away, none is there twice, and dead streams cost nothing."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serin.clients.evidence.shipped import StorageReader, StorageWriter
from serin.clients.storage import FolderStorage, Version
from serin.core.errors import StorageError


class Shaky(FolderStorage):
    """Fails before or after it has done what it was asked."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.fails = ""
        self.reads = 0

    def write_new(self, key: str, data: bytes) -> bool:
        if self.fails == "before":
            raise StorageError("away")
        done = super().write_new(key, data)
        if self.fails == "after":
            raise StorageError("the answer is lost")
        return done

    def read_versioned(self, key: str) -> tuple[bytes, Version] | tuple[None, None]:
        self.reads += 1
        return super().read_versioned(key)


def writer_of(storage: FolderStorage, at: list[float], **options: int) -> StorageWriter:
    """One whose thread sleeps: the test ships."""
    return StorageWriter(storage, "gateway/1", ship_s=1000.0, now=lambda: at[0], **options)


def read(reader: StorageReader, positions: dict[str, int], since_t: float = 0.0) -> list[int]:
    """The numbers of all new rows; positions move on."""
    found = []
    for chunk in reader.read(positions, since_t):
        found += [row["n"] for row in chunk.rows]
        positions[chunk.source] = chunk.end
    return found


def test_rows_arrive_once_whatever_happens_to_the_answers(tmp_path: Path) -> None:
    storage = Shaky(tmp_path)
    writer = writer_of(storage, [0.0])
    positions: dict[str, int] = {}
    for n, fault in enumerate(["", "before", "after", ""]):
        writer.append({"n": n})
        storage.fails = fault
        for again in (fault, ""):
            storage.fails = again
            if again:
                with pytest.raises(StorageError):
                    writer.ship()
            else:
                while writer.ship():
                    pass
    assert read(StorageReader(storage), positions) == [0, 1, 2, 3]
    assert read(StorageReader(storage), positions) == []
    writer.append({"n": 4})
    writer.close()
    assert read(StorageReader(storage), positions) == [4]


def test_what_waits_is_bounded_and_the_loss_is_counted(tmp_path: Path) -> None:
    storage = Shaky(tmp_path)
    writer = writer_of(storage, [0.0], waiting_bytes=50)
    for n in range(20):
        writer.append({"n": n})
    writer.close()
    found = read(StorageReader(storage), {})
    assert found == list(range(20 - writer.dropped))
    assert 3 < len(found) < 8


def test_a_replica_that_restarts_under_its_name_overwrites_nothing(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    for n in range(3):
        writer = writer_of(storage, [0.0])
        writer.append({"n": n})
        writer.close()
    assert sorted(read(StorageReader(storage), {})) == [0, 1, 2]


def test_a_new_reader_begins_where_its_time_begins(tmp_path: Path) -> None:
    storage, at = FolderStorage(tmp_path), [0.0]
    writer = writer_of(storage, at)
    for n in range(100):
        at[0] = 60.0 * n
        writer.append({"n": n})
        writer.ship()
    found = read(StorageReader(storage), {}, since_t=4500.0)
    assert 65 <= found[0] <= 75
    assert found[-1] == 99
    writer.close()


def test_a_dead_stream_is_read_to_its_end_and_then_left_alone(tmp_path: Path) -> None:
    storage = Shaky(tmp_path)
    writer = writer_of(storage, [0.0])
    writer.append({"n": 0})
    writer.close()
    sign = next((tmp_path / "rollouts/evidence/streams").iterdir())
    now = datetime.now(UTC).timestamp()
    os.utime(sign, (now - 8000, now - 8000))
    reader = StorageReader(storage, now=lambda: now)
    positions: dict[str, int] = {}
    assert read(reader, positions, since_t=now - 7000) == [0]
    storage.reads = 0
    assert read(reader, positions, since_t=now - 7000) == []
    assert storage.reads == 0
    assert read(StorageReader(storage), {}, since_t=now) == []  # it ended long before that
