"""How the last attempt at a run ended: a process that memory's keeper killed could not say so itself."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from serin.clients.files import read_json, write_json
from serin.core.errors import InputError

Ended = Literal["finished", "preempted", "failed"]

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryKills:
    """How many processes the kernel has killed for memory in this process's control group."""

    group: str
    """Names the group and the boot, so that counts of different groups are never compared."""
    count: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of a run; written before the first step and at each change, so that it is there after a kill."""

    number: int
    micro_batch_size: int
    ended: Ended | None
    """None while it runs, and for ever if it was killed."""
    kills: MemoryKills | None


def read_attempt(folder: Path) -> Attempt | None:
    """The last attempt that wrote to the run's folder; None where there is none, or what it wrote cannot be read."""
    try:
        record = read_json(folder / "attempt.json")
        kills = record["kills"]
        return Attempt(
            record["number"],
            record["micro_batch_size"],
            record["ended"],
            MemoryKills(**kills) if kills else None,
        )
    except (InputError, KeyError, TypeError):
        return None


def write_attempt(folder: Path, attempt: Attempt) -> None:
    """Record the attempt, atomically."""
    write_json(folder / "attempt.json", asdict(attempt))


def record_ending(folder: Path, ended: Ended) -> None:
    """Add to the record of the attempt under way how it ended."""
    if (attempt := read_attempt(folder)) is not None and attempt.ended is None:
        write_attempt(folder, replace(attempt, ended=ended))


def was_killed_for_memory(last: Attempt | None, now: MemoryKills | None, told: bool) -> bool:
    """Whether the last attempt fell to the kernel's out-of-memory killer.

    ``told``: whoever started this process knows it, as Kubernetes does of a container (OOMKilled). Otherwise the count of the
    control group says so, where the last attempt ran in the same one and ended without a word.
    """
    if told:
        return True
    if last is None or last.ended is not None or last.kills is None or now is None:
        return False
    return last.kills.group == now.group and now.count > last.kills.count


def count_memory_kills(cgroups: Path = _CGROUPS, process: Path = Path("/proc/self/cgroup")) -> MemoryKills | None:
    """The count of this process's control group, of version 2 or 1; None where the system keeps none that can be read."""
    try:
        lines = process.read_text().splitlines()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    for line in lines:
        hierarchy, controllers, name = line.split(":", 2)
        if hierarchy == "0" and not controllers:
            files = [cgroups / name.lstrip("/") / "memory.events", cgroups / "memory.events"]
        elif "memory" in controllers.split(","):
            files = [
                cgroups / "memory" / name.lstrip("/") / "memory.oom_control",
                cgroups / "memory" / "memory.oom_control",  # a container sees its own group as the root
            ]
        else:
            continue
        for file in files:
            if (count := _oom_kills(file)) is not None:
                return MemoryKills(f"{boot}/{file.stat().st_ino}", count)
    return None


def _oom_kills(file: Path) -> int | None:
    try:
        fields = dict(line.split(maxsplit=1) for line in file.read_text().splitlines() if " " in line)
    except OSError:
        return None
    return int(fields["oom_kill"]) if "oom_kill" in fields else None
