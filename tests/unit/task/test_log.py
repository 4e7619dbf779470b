"""The log in parts, with storage that fails."""

from pathlib import Path

import pytest

from serin.clients.storage import FolderStorage
from serin.core.errors import StorageError
from serin.task.log import PART_BYTES, LogParts


class Failing(FolderStorage):
    """Storage that is away while ``is_away``."""

    is_away = False

    def write(self, key: str, data: bytes) -> None:
        if self.is_away:
            raise StorageError("nobody answers")
        super().write(key, data)


@pytest.fixture
def storage(tmp_path: Path) -> Failing:
    return Failing(tmp_path)


def stored(storage: Failing) -> str:
    return b"".join(storage.read(key) for key in storage.list("log/")).decode()


def test_parts_put_together_are_what_was_printed(storage: Failing) -> None:
    log = LogParts(storage, "log")
    for number in range(12):
        log.write(f"line {number}\n".encode())
        log.send()
    log.send()
    assert storage.list("log/")[-1] == "log/00012.log"
    assert stored(storage) == "".join(f"line {number}\n" for number in range(12))


def test_it_says_when_there_is_enough_for_a_part(storage: Failing) -> None:
    log = LogParts(storage, "log")
    assert not log.write(b"x" * (PART_BYTES - 1))
    assert log.write(b"x")


def test_what_could_not_be_stored_comes_later_once_and_in_order(storage: Failing) -> None:
    log = LogParts(storage, "log")
    storage.is_away = True
    for number in range(5):
        log.write(f"line {number}\n".encode())
        with pytest.raises(StorageError):
            log.send()
    storage.is_away = False
    log.send()
    assert stored(storage) == "".join(f"line {number}\n" for number in range(5))


def test_memory_is_bounded_and_the_log_says_what_is_lost(storage: Failing) -> None:
    log = LogParts(storage, "log", most_bytes=100)
    storage.is_away = True
    log.write(b"first\n")
    with pytest.raises(StorageError):
        log.send()
    for number in range(1000):
        log.write(f"line {number:05d}\n".encode())
    storage.is_away = False
    log.send()
    said = stored(storage)
    assert said.startswith("first\n\n[10900 bytes of the log are lost: storage did not answer]\n")
    assert said.endswith("line 00998\nline 00999\n")
    assert len(said) < 300
