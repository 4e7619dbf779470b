import hashlib
import os
import random
import threading
from pathlib import Path

import pytest

from serin.clients.storage.following import FollowingDigest


@pytest.mark.parametrize(("size", "part", "count"), [(0, 10, 1), (10, 10, 1), (11, 10, 2), (3_000_001, 70_000, 43)])
def test_the_digest_does_not_depend_on_the_order_of_parts(tmp_path: Path, size: int, part: int, count: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(random.Random(0).randbytes(size))
    digest = FollowingDigest(size, part)
    assert digest.count == count
    order = random.Random(1).sample(range(count), count)
    found: list[str | None] = []

    def work(numbers: list[int]) -> None:
        with path.open("rb") as file:
            found.extend(digest.follow(number, file.fileno()) for number in numbers)

    threads = [threading.Thread(target=work, args=(order[i::3],)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each for each in found if each] == [hashlib.sha256(path.read_bytes()).hexdigest()]


def test_ranges_cover_a_file() -> None:
    digest = FollowingDigest(25, 10)
    assert [digest.range_of(number) for number in range(digest.count)] == [(0, 10), (10, 10), (20, 5)]


def test_a_part_that_is_not_ready_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    digest = FollowingDigest(10, 4)
    handle = os.open(path, os.O_RDONLY)
    assert digest.follow(2, handle) is None
    assert digest.follow(1, handle) is None
    assert digest.follow(0, handle) == hashlib.sha256(b"0123456789").hexdigest()
    os.close(handle)


def test_no_thread_waits_for_one_that_hashes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    begun, go = threading.Event(), threading.Event()

    class Slow(FollowingDigest):
        def _hash(self, first: int, count: int, file: int) -> None:
            begun.set()
            assert go.wait(5)
            super()._hash(first, count, file)

    digest, found = Slow(10, 4), list[str | None]()
    with path.open("rb") as file:
        slow = threading.Thread(target=lambda: found.append(digest.follow(0, file.fileno())))
        slow.start()
        assert begun.wait(5)
        assert digest.follow(1, file.fileno()) is None
        assert digest.follow(2, file.fileno()) is None
        go.set()
        slow.join()
    assert found == [hashlib.sha256(b"0123456789").hexdigest()]
