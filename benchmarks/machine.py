"""What a result file says of the machine that it comes from."""

import os
import platform
from pathlib import Path


def describe() -> str:
    """One line: cores and their model, memory, system, Python."""
    names = [x.partition(":")[2].strip() for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x]
    memory = next(x for x in Path("/proc/meminfo").read_text().splitlines() if x.startswith("MemTotal"))
    gib = int(memory.split()[1]) / (1 << 20)
    return (
        f"{os.cpu_count()} cores ({names[0] if names else platform.machine()}), {gib:.0f} GiB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}"
    )
