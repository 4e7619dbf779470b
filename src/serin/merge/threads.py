"""With how many threads torch computes a merge."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Have torch compute with one thread.

    How a matrix product is cut up among threads decides the last bit of some sums, and a merge has to give the same bytes on a
    machine with more cores. Nor is it slower: blocks are short work, another thread reads, hashes and writes, and on two busy
    cores two threads of torch, which wait for each other at every operation, took four times as long.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
