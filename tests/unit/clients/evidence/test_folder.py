"""Rows through a folder: none is lost to a full disk or a kill, and none is read twice."""

import errno
import os
from pathlib import Path

import pytest

from serin.clients.evidence import Chunk
from serin.clients.evidence.folder import FolderReader, FolderWriter, old_files, remove_files


def read(folder: Path, positions: dict[str, int], since_t: float = 0.0) -> list[int]:
    """The numbers of all new rows; positions move on."""
    found = []
    for chunk in FolderReader(folder).read(positions, since_t):
        assert isinstance(chunk, Chunk)
        found += [row["n"] for row in chunk.rows]
        positions[chunk.source] = chunk.end
    return found


def test_a_row_is_read_once_and_a_line_only_when_it_is_whole(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path / "a.jsonl")
    writer.append({"n": 1})
    positions: dict[str, int] = {}
    assert read(tmp_path, positions) == [1]
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b'{"n": 2')
    assert read(tmp_path, positions) == []
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(b"}\n")
    writer.append({"n": 3})
    assert read(tmp_path, positions) == [2, 3]
    assert read(tmp_path, positions) == []
    writer.close()


def test_a_process_that_follows_one_killed_in_mid_line_begins_a_new_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"n": 1}\n{"n": 2, "to')
    writer = FolderWriter(tmp_path / "a.jsonl")
    writer.append({"n": 3})
    writer.close()
    assert read(tmp_path, {}) == [1, 3]


def test_rows_wait_for_a_full_disk_and_keep_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = FolderWriter(tmp_path / "a.jsonl", waiting_bytes=200)
    room = 5
    write = os.write

    def full(file: int, data: bytes | bytearray) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        count, room = write(file, bytes(data)[:room]), max(0, room - len(bytes(data)))
        return count

    monkeypatch.setattr(os, "write", full)
    for n in range(30):
        writer.append({"n": n})
    kept = 30 - writer.dropped
    assert 10 < kept < 30
    positions: dict[str, int] = {}
    assert read(tmp_path, positions) == []  # five bytes of the first
    monkeypatch.setattr(os, "write", write)
    writer.append({"n": 30})
    writer.close()
    assert read(tmp_path, positions) == [*range(kept), 30]


def test_a_file_that_shrank_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": 2}\n')
    positions: dict[str, int] = {}
    read(tmp_path, positions)
    path.write_bytes(b'{"n": 3}\n')
    assert read(tmp_path, positions) == [3]


def test_what_is_older_than_the_question_is_passed_over_in_a_large_file(tmp_path: Path) -> None:
    lines = [b'{"n": %d, "t": %d, "pad": "%s"}\n' % (n, n, b"x" * 1000) for n in range(10_000)]
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines))
    found = read(tmp_path, {}, since_t=9_000.0)
    assert 7_500 < found[0] <= 8_940
    assert found == list(range(found[0], 10_000))


def test_a_file_that_has_grown_large_is_followed_by_another_one(tmp_path: Path) -> None:
    path = tmp_path / "host.example-7.jsonl"
    writer = FolderWriter(path, part_bytes=30)
    for n in range(9):
        writer.append({"n": n})
    writer.close()
    names = ["host.example-7.1.jsonl", "host.example-7.2.jsonl", "host.example-7.jsonl"]
    assert sorted(found.name for found in tmp_path.iterdir()) == names
    again = FolderWriter(path, part_bytes=30)
    assert again.path.name == names[1], "where the process before it ended"
    again.append({"n": 9})
    again.close()
    assert sorted(read(tmp_path, {})) == list(range(10))


def test_what_is_old_goes_and_what_was_written_meanwhile_stays(tmp_path: Path) -> None:
    for name in ("old.jsonl", "idle.jsonl", "young.jsonl"):
        (tmp_path / name).write_bytes(b'{"n": 1}\n')
    for name in ("old.jsonl", "idle.jsonl"):
        os.utime(tmp_path / name, (1e9, 1e9))
    found = old_files(tmp_path, 1e9 + 3600)
    assert (found.objects, found.size_bytes) == (2, 18)
    (tmp_path / "idle.jsonl").write_bytes(b'{"n": 2}\n')
    remove_files(found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["idle.jsonl", "young.jsonl"]


def test_a_gateway_whose_old_file_was_removed_loses_no_row(tmp_path: Path) -> None:
    writer = FolderWriter(tmp_path / "a.jsonl")
    writer.append({"n": 1})
    os.utime(tmp_path / "a.jsonl", (1e9, 1e9))
    remove_files(old_files(tmp_path, 2e9))
    assert not (tmp_path / "a.jsonl").exists()
    for n in (2, 3):
        writer.append({"n": n})
    assert read(tmp_path, {}) == [2, 3]
    writer.close()
