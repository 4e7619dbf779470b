from pathlib import Path

from serin.train.checkpoint.attempts import (
    Attempt,
    MemoryKills,
    count_memory_kills,
    read_attempt,
    was_killed_for_memory,
    write_attempt,
)

KILLED = Attempt(1, 8, None, MemoryKills("boot/7", 2))


def test_an_attempt_is_read_back_and_what_is_damaged_is_none(tmp_path: Path) -> None:
    assert read_attempt(tmp_path) is None
    write_attempt(tmp_path, KILLED)
    assert read_attempt(tmp_path) == KILLED
    (tmp_path / "attempt.json").write_text("{")
    assert read_attempt(tmp_path) is None


def test_a_silent_end_and_a_count_that_rose_mean_a_kill_for_memory() -> None:
    assert was_killed_for_memory(KILLED, MemoryKills("boot/7", 3), told=False)
    assert not was_killed_for_memory(KILLED, MemoryKills("boot/7", 2), told=False)  # killed, but not for memory
    assert not was_killed_for_memory(KILLED, MemoryKills("boot/8", 9), told=False)  # another group's count
    assert not was_killed_for_memory(Attempt(1, 8, "preempted", KILLED.kills), MemoryKills("boot/7", 3), told=False)
    assert not was_killed_for_memory(None, MemoryKills("boot/7", 3), told=False)


def test_who_started_the_process_may_know_it() -> None:
    assert was_killed_for_memory(None, None, told=True)


def test_counts_of_both_versions_of_control_groups(tmp_path: Path) -> None:
    process = tmp_path / "cgroup"
    (tmp_path / "pod").mkdir()
    (tmp_path / "pod" / "memory.events").write_text("low 0\nmax 5\noom 1\noom_kill 4\n")
    process.write_text("0::/pod\n")
    found = count_memory_kills(tmp_path, process)
    assert found is not None
    assert found.count == 4

    (tmp_path / "memory" / "job").mkdir(parents=True)
    (tmp_path / "memory" / "job" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    process.write_text("4:memory:/job\n0::/\n")
    found = count_memory_kills(tmp_path, process)
    assert found is not None
    assert found.count == 3
    process.write_text("1:cpu:/\n")
    assert count_memory_kills(tmp_path, process) is None
