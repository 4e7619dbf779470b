from pathlib import Path

import pytest

from serin.core.errors import UsageError
from serin.train.plan.devices import as_driver_says, gpu_named, memory_limit_bytes


@pytest.mark.parametrize("name", ["A100-80", "a100_80", "A100 80"])
def test_a_gpu_is_found_however_its_name_is_written(name: str) -> None:
    assert gpu_named(name).memory_bytes == 80 << 30


def test_a_gpu_that_is_not_in_the_table_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"--gpu B300: not in the table; one of A10, A100-40, .*T4"):
        gpu_named("B300")


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA H100 80GB HBM3", 989.0),
        ("NVIDIA L40S", 362.0),
        ("NVIDIA L4", 121.0),
        ("NVIDIA A10", 125.0),
        ("Tesla T4", 65.0),
        ("NVIDIA GeForce RTX 4090", 165.0),
        ("NVIDIA RTX A6000", None),
    ],
)
def test_a_gpu_of_this_machine_is_found_by_its_drivers_name(name: str, tflops: float | None) -> None:
    device = as_driver_says(name, 79 << 30)
    assert (device.name, device.memory_bytes, device.tflops) == (name, 79 << 30, tflops)


def test_a_gpu_keeps_some_memory_for_itself() -> None:
    gpu = gpu_named("L4")
    assert gpu.is_cuda
    assert gpu.memory_bytes - (2 << 30) < gpu.usable_bytes < gpu.memory_bytes


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("1073741824", 1 << 30), ("max", 8 << 30), ("9223372036854771712", 8 << 30), (None, 8 << 30)],
)
def test_the_control_groups_limit_counts_where_it_is_lower(tmp_path: Path, limit: str | None, expected: int) -> None:
    meminfo, group = tmp_path / "meminfo", tmp_path / "memory.max"
    meminfo.write_text(f"MemTotal:       {8 << 20} kB\nMemFree: 1 kB\n")
    if limit is not None:
        group.write_text(f"{limit}\n")
    assert memory_limit_bytes((group,), meminfo) == expected
