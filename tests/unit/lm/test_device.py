import subprocess
import sys

import pytest

from serin.lm.device import bound_kernel_caches

HOLED_HEAP = """
import torch
from serin.lm.device import give_memory_back

{first}
del_threshold = torch.ones(7 << 20)  # 28 MiB: from now on, glibc's heap takes blocks of up to that size
del del_threshold
def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) / 256
before = resident_mib()
large, small = [], []
for _ in range(50):
    large.append(torch.ones(1 << 20))
    small.append(torch.ones(5000))
del large
print(resident_mib() - before)
"""


def test_a_number_that_the_environment_gives_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    bound_kernel_caches()
    assert (os.environ["LRU_CACHE_CAPACITY"], os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) == ("7", "64")


@pytest.mark.parametrize(("first", "most_mib"), [("give_memory_back()", 20), ("", 250)])
def test_what_is_freed_between_small_things_is_given_back_where_asked(first: str, most_mib: int) -> None:
    """Two hundred MiB in fifty tensors, each followed by one of 20 KB that stays; without it, the heap keeps the holes."""
    done = subprocess.run(
        [sys.executable, "-c", HOLED_HEAP.format(first=first)], capture_output=True, text=True, check=True
    )
    kept_mib = float(done.stdout)
    assert most_mib - 100 < kept_mib < most_mib
