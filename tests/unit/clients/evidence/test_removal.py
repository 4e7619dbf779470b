"""Old evidence goes, and whoever reads later finds all that came after, without a gap."""

import os
from datetime import UTC, datetime
from pathlib import Path

from serin.clients.evidence.removal import Outdated, outdated, remove
from serin.clients.evidence.shipped import DEAD_S, ROWS, STREAMS, StorageReader, StorageWriter, key_of
from serin.clients.storage import FolderStorage

NOW = datetime.now(UTC).timestamp()
DAY_S = 86_400.0


class Gateway:
    """One whose thread sleeps, and whose clock and storage's are the test's."""

    def __init__(self, storage: FolderStorage, name: str = "gateway") -> None:
        self.storage = storage
        self.t = 0.0
        self.writer = StorageWriter(storage, name, ship_s=1e6, now=lambda: self.t)

    @property
    def stream(self) -> str:
        return self.writer.stream

    def ship(self, t: float, n: int) -> None:
        self.t = t
        self.writer.append({"n": n})
        before = set(self.storage.list(ROWS))
        assert not self.writer.ship()
        for key in {*self.storage.list(ROWS)} - before | {STREAMS + self.stream}:
            os.utime(self.storage.root / key, (t, t))


def read(storage: FolderStorage, since_t: float, positions: dict[str, int] | None = None) -> list[int]:
    reader = StorageReader(storage, now=lambda: NOW)
    return [row["n"] for chunk in reader.read(positions or {}, since_t) for row in chunk.rows]


def test_of_a_stream_that_lives_goes_what_is_before_every_later_reader(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    gateway = Gateway(storage)
    for n in range(50):
        gateway.ship(NOW - 10 * DAY_S + n * DAY_S / 5, n)
    after = [read(storage, NOW - days * DAY_S) for days in (3.1, 2.5, 1.0)]
    old = outdated(storage, NOW - 3.1 * DAY_S)
    assert len(old.rows) == 34  # whoever asks for that time begins with the last one before it
    assert old.size_bytes == sum((tmp_path / key).stat().st_size for key in old.rows)
    assert not old.signs
    remove(old, storage)
    assert [read(storage, NOW - days * DAY_S) for days in (3.1, 2.5, 1.0)] == after
    assert read(storage, 0.0) == list(range(34, 50)), "one that asks for more gets all that is left"
    assert outdated(storage, NOW - 3.1 * DAY_S) == Outdated(())
    gateway.ship(NOW, 50)
    assert read(storage, NOW - 3.1 * DAY_S)[-1] == 50
    gateway.writer.close()


def test_a_dead_stream_goes_with_its_sign_and_a_killed_removal_is_ended(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    dead, alive = Gateway(storage, "dead"), Gateway(storage, "alive")
    for n in range(3):
        dead.ship(NOW - 5 * DAY_S + n, n)
        alive.ship(NOW - 60.0 + n, 10 + n)
    old = outdated(storage, NOW - 4 * DAY_S)
    assert len(old.rows) == 3
    assert list(old.signs) == [STREAMS + dead.stream]
    storage.delete(old.rows[:2])  # and then it was killed
    remove(outdated(storage, NOW - 4 * DAY_S), storage)
    assert storage.list("rollouts/evidence/") == [
        *(key_of(alive.stream, n) for n in range(3)),
        STREAMS + alive.stream,
    ]
    assert outdated(storage, NOW - 5 * DAY_S - DEAD_S) == Outdated(()), "what is young enough stays"
    dead.writer.close()
    alive.writer.close()


def test_a_gateway_that_was_idle_for_days_is_read_when_it_comes_back(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    gateway = Gateway(storage)
    for n in range(3):
        gateway.ship(NOW - 30 * DAY_S + n * 1000, n)
    old = outdated(storage, NOW - 7 * DAY_S)
    remove(old, storage)
    assert storage.list("rollouts/evidence/") == []
    gateway.ship(NOW, 3)
    gateway.ship(NOW + 1, 4)
    assert read(storage, NOW - 600) == [3, 4]
    # A removal that was planned before it came back, and ends after that, does not take its sign.
    remove(old, storage)
    assert read(storage, NOW - 600) == [3, 4]
    gateway.writer.close()


def test_a_gateways_clock_that_was_set_back_makes_nothing_old(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    gateway = Gateway(storage)
    for n in range(3):
        gateway.ship(NOW - 100.0 + n, n)
    gateway.t = 5.0
    gateway.writer.append({"n": 3})
    gateway.writer.ship()
    assert outdated(storage, NOW - DAY_S) == Outdated(())
    gateway.writer.close()


def test_rows_without_a_sign_go_once_they_are_old(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write(key_of("left", 7), b'{"n": 7}\n')
    assert outdated(storage, NOW - DAY_S) == Outdated(())
    os.utime(tmp_path / key_of("left", 7), (NOW - 2 * DAY_S, NOW - 2 * DAY_S))
    assert outdated(storage, NOW - DAY_S).rows == (key_of("left", 7),)


def test_a_sign_of_a_long_life_stays_small_and_tells_the_beginning(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    gateway = Gateway(storage)
    for n in range(2500):
        gateway.t = 300.0 * n
        gateway.writer.append({"n": n})
        gateway.writer.ship()
    assert (tmp_path / STREAMS / gateway.stream).stat().st_size < 60_000
    found = read(storage, 300.0 * 600 + 1)
    assert 590 <= found[0] <= 600
    assert found[-1] == 2499
    gateway.writer.close()
