"""The processes of one run: alone, or as many as torchrun started, each with a share of every step's examples."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from serin.core.errors import ConfigError
from serin.lm.device import default_device

T = TypeVar("T")

_TIMEOUT = timedelta(minutes=30)  # the others wait while the first one saves a checkpoint or a slow evaluation ends


@dataclass(frozen=True, slots=True)
class Processes:
    """What one process knows of all; with one alone, nothing here does anything."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """The one that writes."""
        return self.rank == 0

    def sum(self, value: float) -> float:
        """The sum over all processes, in float64."""
        if self.count == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return float(total)

    def smallest(self, value: int) -> int:
        """The smallest over all processes."""
        if self.count == 1:
            return value
        least = torch.tensor(value, device=self.device)
        dist.all_reduce(least, dist.ReduceOp.MIN)
        return int(least)

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process: then all act alike."""
        return self.sum(float(flag)) > 0

    def sum_gradients(self, weights: Sequence[torch.nn.Parameter]) -> None:
        """Leave in every process the sum of all processes' gradients, by one message."""
        if self.count == 1:
            return
        for weight in weights:
            if weight.grad is None:  # this process had no example that reaches it
                weight.grad = torch.zeros_like(weight)
        flat = torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])
        dist.all_reduce(flat)
        start = 0
        for weight in weights:
            assert weight.grad is not None
            weight.grad.copy_(flat[start : start + weight.numel()].view_as(weight))
            start += weight.numel()

    def from_first(self, value: T) -> T:
        """The first process's value, in every process."""
        if self.count == 1:
            return value
        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0)
        received: T = box[0]
        return received

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def processes(environment: Mapping[str, str] = os.environ) -> Iterator[Processes]:
    """Join the others that torchrun started, if it did.

    Raises:
        ConfigError: what torchrun sets is there in part only, or more processes than GPUs.
    """
    count = int(environment.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(0, 1, default_device())
        return
    if missing := [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in environment]:
        raise ConfigError(f"WORLD_SIZE is {count}, and {', '.join(missing)} not set: start the processes by torchrun")
    device = default_device()
    if device.type == "cuda":
        local = int(environment["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise ConfigError(f"process {local} of this machine has no GPU: it has {torch.cuda.device_count()}")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield Processes(int(environment["RANK"]), count, device)
    finally:
        dist.destroy_process_group()
