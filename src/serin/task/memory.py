"""What the container's control group says of memory: what of its limit cannot be given back, and what the kernel killed."""

from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_CLOSE = 0.95


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one container. The page cache does not count: the kernel takes that back before it kills."""

    used_bytes: int
    limit_bytes: int
    kills: int
    """Processes that the kernel has killed for want of it."""

    @property
    def is_close(self) -> bool:
        """Whether it is within 5 % of the limit."""
        return self.used_bytes >= _CLOSE * self.limit_bytes


def read_memory(cgroups: Path = _CGROUPS) -> Memory | None:
    """Of version 2 or 1 of control groups, as a container sees its own; None where there is no limit, or nothing to read."""
    try:
        if (cgroups / "memory.max").is_file():
            limit, stat = (cgroups / "memory.max").read_text().strip(), _fields(cgroups / "memory.stat")
            used = sum(stat.get(name, 0) for name in ("anon", "shmem", "kernel_stack", "slab_unreclaimable"))
            kills = _fields(cgroups / "memory.events").get("oom_kill", 0)
        else:
            folder = cgroups / "memory"
            limit, stat = (folder / "memory.limit_in_bytes").read_text().strip(), _fields(folder / "memory.stat")
            used = sum(stat.get(name, 0) for name in ("total_rss", "total_shmem"))
            kills = _fields(folder / "memory.oom_control").get("oom_kill", 0)
    except (OSError, ValueError):
        return None
    if not limit.isdecimal() or int(limit) >= 1 << 60:  # version 1 says "none" by a very large number
        return None
    return Memory(used, int(limit), kills)


def _fields(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in file.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
