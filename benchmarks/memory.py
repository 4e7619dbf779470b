"""How much memory a process and all its descendants take together, sampled while it runs."""

import threading
from collections import defaultdict
from pathlib import Path

_INTERVAL_S = 0.2
_PROC = Path("/proc")


class PeakMemory:
    """Samples a process tree until it is stopped. ``pss_mib`` counts shared pages once, ``rss_mib`` in each process."""

    def __init__(self, pid: int) -> None:
        self.pss_mib = 0.0
        self.rss_mib = 0.0
        self._pid = pid
        self._ended = threading.Event()
        self._sampling = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._sampling.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._sampling.join()

    def _sample(self) -> None:
        while not self._ended.wait(_INTERVAL_S):
            taken = [_memory_kib(pid) for pid in tree_of(self._pid)]
            self.pss_mib = max(self.pss_mib, sum(pss for pss, _ in taken) / 1024)
            self.rss_mib = max(self.rss_mib, sum(rss for _, rss in taken) / 1024)


def tree_of(root: int) -> list[int]:
    """A process and all its descendants."""
    children = defaultdict(list)
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            try:
                # The command's name, in brackets, may hold anything; the parent is the second field behind it.
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children[parent].append(int(folder.name))
    found = [root]
    for pid in found:
        found += children[pid]
    return found


def _memory_kib(pid: int) -> tuple[int, int]:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0, 0
    sizes = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    return sizes.get("Pss:", 0), sizes.get("Rss:", 0)
