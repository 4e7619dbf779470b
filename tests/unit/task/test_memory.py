"""Memory as control groups of either version tell it."""

from pathlib import Path

import pytest

from serin.task.memory import Memory, read_memory


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 700\nfile 250\nshmem 100\nkernel_stack 10\nslab_unreclaimable 5\n")
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    return tmp_path


def test_what_the_kernel_can_take_back_does_not_count(version_2: Path) -> None:
    assert read_memory(version_2) == Memory(used_bytes=815, limit_bytes=1000, kills=2)


def test_without_a_limit_nothing_is_told(version_2: Path) -> None:
    (version_2 / "memory.max").write_text("max\n")
    assert read_memory(version_2) is None
    assert read_memory(version_2 / "nowhere") is None


def test_version_1(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text("1000\n")
    (folder / "memory.stat").write_text("cache 400\ntotal_rss 950\n")
    (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert read_memory(tmp_path) == Memory(used_bytes=950, limit_bytes=1000, kills=1)
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert read_memory(tmp_path) is None


def test_close_is_within_a_twentieth() -> None:
    assert Memory(950, 1000, 0).is_close
    assert not Memory(949, 1000, 0).is_close
