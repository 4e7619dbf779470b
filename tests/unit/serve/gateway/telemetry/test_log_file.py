"""Lines are whole, files turn over, and a full disk loses lines and no more."""

import os
from pathlib import Path

import pytest

from serin.serve.gateway.telemetry.log_file import LogFile


def test_files_turn_over_and_the_oldest_goes(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log.jsonl", rotate_bytes=10, keep=2)
    for number in range(8):
        file.append(b"line %d\n" % number)
    file.close()
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == {"log.jsonl": b"line 7\n", "log.jsonl.1": b"line 6\n", "log.jsonl.2": b"line 5\n"}
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_loses_lines_and_the_next_ones_are_whole_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LogFile(tmp_path / "log.jsonl")
    lost = []
    file.on_loss = lambda: lost.append(1)
    write = os.write

    def torn(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[:3])

    def full(descriptor: int, data: bytes) -> int:  # noqa: ARG001 - os.write's shape
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", torn)
    file.append(b"first\n")
    monkeypatch.setattr("os.write", full)
    file.append(b"second\n")
    monkeypatch.setattr("os.write", write)
    file.append(b"third\n")
    file.append(b"fourth\n")
    file.close()
    assert (tmp_path / "log.jsonl").read_bytes() == b"fir\nthird\nfourth\n"
    assert len(lost) == file.lost == 2
