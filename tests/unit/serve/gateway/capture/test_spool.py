"""Segments survive whoever wrote them, are sent once, and do not fill the disk."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
from pyarrow import parquet

from serin.clients.storage import FolderStorage
from serin.core.captured import COLUMNS, SUFFIX
from serin.core.errors import StorageError
from serin.serve.gateway.capture.sender import Sender
from serin.serve.gateway.capture.spool import Spool, left_over

LINE = b'{"record":"exchange","request_id":"%d","t":1.0,"complete":true}\n'


def spool_in(folder: Path, most_bytes: int = 1 << 20, now: float = 1e9) -> Spool:
    return Spool(folder, rotate_bytes=1 << 20, rotate_s=60.0, most_bytes=most_bytes, clock=lambda: now)


def stored(storage: Path) -> list[str]:
    """The ids of all rows in storage."""
    return [
        row["request_id"]
        for path in sorted(storage.rglob(f"*{SUFFIX}"))
        for row in parquet.read_table(path).to_pylist()
    ]


def sender(folder: Path, storage: Path) -> Sender:
    return Sender(folder, lambda: FolderStorage(storage), "captured")


def test_what_is_rolled_is_sent_as_parquet_and_removed(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    spool.append([LINE % 1, LINE % 2])
    sender(tmp_path / "spool", tmp_path / "storage").send()
    assert not stored(tmp_path / "storage")  # it is still being written
    spool.roll()
    spool.append([LINE % 3])
    sender(tmp_path / "spool", tmp_path / "storage").send()
    assert stored(tmp_path / "storage") == ["1", "2"]
    (table,) = (tmp_path / "storage").rglob(f"*{SUFFIX}")
    assert table.relative_to(tmp_path / "storage").parts[:2] == ("captured", "2001-09-09")
    assert parquet.read_schema(table).names == list(COLUMNS)
    assert len(list((tmp_path / "spool").iterdir())) == 1


def _write_and_be_killed(folder: Path) -> None:
    spool_in(folder).append([LINE % 1])
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_replica_left_is_taken_up_without_its_torn_end(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_write_and_be_killed, args=(tmp_path / "spool",))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    (segment,) = (tmp_path / "spool").iterdir()
    with segment.open("ab") as file:
        file.write((LINE % 2)[:20])
    sender(tmp_path / "spool", tmp_path / "storage").send()
    assert stored(tmp_path / "storage") == ["1"]


class DiesAfterSending(FolderStorage):
    def put_files(self, files: Mapping[str, Path]) -> None:
        super().put_files(files)
        raise StorageError("the process died here")


def test_what_is_sent_twice_is_there_once(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    spool.append([LINE % 1])
    spool.roll()
    with pytest.raises(StorageError):
        Sender(tmp_path / "spool", lambda: DiesAfterSending(tmp_path / "storage"), "captured").send()
    assert stored(tmp_path / "storage") == ["1"]
    sender(tmp_path / "spool", tmp_path / "storage").send()
    assert stored(tmp_path / "storage") == ["1"]
    assert not list((tmp_path / "spool").iterdir())


def test_beyond_its_bound_the_oldest_goes_and_what_is_written_stays(tmp_path: Path) -> None:
    for number in range(4):
        spool = spool_in(tmp_path, now=1e9 + number)
        spool.append([LINE % number, LINE % number])
        spool.roll()
    last = spool_in(tmp_path, most_bytes=len(LINE) * 5, now=1e9 + 9)
    last.append([LINE % 9])
    assert last.drop_oldest() == 4
    last.roll()
    assert [path.read_bytes().count(b"\n") for path in left_over(tmp_path)] == [2, 2, 1]
    assert not list(tmp_path.glob("*1000000000*"))


def test_a_damaged_segment_holds_up_no_other(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    spool.append([b'{"record":"exchange","t":"noon"}\n'])
    spool.roll()
    other = spool_in(tmp_path / "spool", now=1e9 + 1)
    other.append([LINE % 1])
    other.roll()
    sender(tmp_path / "spool", tmp_path / "storage").send()
    assert stored(tmp_path / "storage") == ["1"]
    assert [path.suffix for path in (tmp_path / "spool").iterdir() if path.suffix != ".part"] == [".damaged"]


def test_age_and_size_make_it_due(tmp_path: Path) -> None:
    now = [1e9]
    spool = Spool(tmp_path, rotate_bytes=100, rotate_s=60.0, most_bytes=1 << 20, clock=lambda: now[0])
    assert not spool.is_due
    spool.append([LINE % 1])
    assert not spool.is_due
    now[0] += 61
    assert spool.is_due
    spool.roll()
    spool.append([LINE % 1, LINE % 2])
    assert spool.is_due
