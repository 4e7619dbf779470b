"""What a run is planned for: a GPU by its name, or this machine."""

from dataclasses import dataclass
from pathlib import Path

import torch

from serin.core.errors import UsageError

_GIB = 1 << 30
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, as its vendor's data sheet has it, or the CPU."""

    name: str
    memory_bytes: int
    """All of it; of a CPU, what this process may take."""
    tflops: float | None = None
    """Dense products in bfloat16 with accumulation in float32, 10^12 a second: half of what is stated with sparsity."""

    @property
    def is_cuda(self) -> bool:
        """Whether it is a GPU."""
        return self.name != "CPU"

    @property
    def usable_bytes(self) -> int:
        """What is left beside CUDA's context and the driver's share, or beside the process that has imported what it needs."""
        return self.memory_bytes - _GIB


def _gpu(name: str, memory_gib: float, tflops: float) -> Device:
    return Device(name, int(memory_gib * _GIB), tflops)


GPUS: tuple[Device, ...] = (
    _gpu("A10", 24, 125.0),
    _gpu("A100-40", 40, 312.0),
    _gpu("A100-80", 80, 312.0),
    _gpu("H100", 80, 989.0),
    _gpu("H200", 141, 989.0),
    _gpu("L4", 24, 121.0),
    _gpu("L40S", 48, 362.0),
    _gpu("RTX-3090", 24, 71.0),
    _gpu("RTX-4090", 24, 165.0),
    _gpu("RTX-5090", 32, 209.5),
    _gpu("T4", 16, 65.0),
)
"""NVIDIA's data sheets. The T4 has no bfloat16: its figure is of float16, and training there computes slower. The GeForce cards
do half the products a cycle where they accumulate in float32, which these figures have in."""


def gpu_named(name: str) -> Device:
    """The GPU of that name, whatever its case and hyphens. Raises UsageError where none has it, with those that there are."""
    wanted = _plain(name)
    found = [gpu for gpu in GPUS if _plain(gpu.name) == wanted]
    if not found:
        raise UsageError(f"--gpu {name}: not in the table; one of {', '.join(gpu.name for gpu in GPUS)}")
    return found[0]


def this_machine() -> Device:
    """Its first GPU, or its CPU with the memory that the machine and the process's control group allow."""
    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        return as_driver_says(found.name, found.total_memory)
    return Device("CPU", memory_limit_bytes())


def as_driver_says(name: str, memory_bytes: int) -> Device:
    """A GPU by its driver's name, such as NVIDIA A100-SXM4-80GB; with the arithmetic of the table where that has it."""
    words = name.casefold().replace("-", " ").split()
    alike = []
    for gpu in GPUS:
        model, *more = gpu.name.casefold().split("-")
        if model in words and (model == "a100" or all(word in words for word in more)):
            alike.append(gpu)
    nearest = min(alike, key=lambda gpu: abs(gpu.memory_bytes - memory_bytes), default=None)
    return Device(name, memory_bytes, nearest.tflops if nearest else None)


def memory_limit_bytes(limits: tuple[Path, ...] = _CGROUP_LIMITS, meminfo: Path = Path("/proc/meminfo")) -> int:
    """The least of the machine's memory and the limits of the control group, of either version. Linux alone."""
    found = [int(meminfo.read_text().split("MemTotal:")[1].split()[0]) * 1024]
    for path in limits:
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            found.append(int(text))
    return min(found)


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
