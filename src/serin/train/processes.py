"""The processes of one run: alone, or as many as torchrun started, each with a share of every step's examples.

Gradients go by NCCL between GPUs and by Gloo between CPUs. Everything else that processes say to each other is a few bytes in
CPU memory and goes by Gloo, so that it is the same everywhere. With one process nothing of torch.distributed is ever begun.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from serin.core.errors import ConfigError, FinalError
from serin.lm.device import default_device

T = TypeVar("T")

_TIMEOUT = timedelta(minutes=30)  # the others wait while the first one saves a checkpoint or a slow evaluation ends
_MESSAGE_BYTES = 64 << 20
_SET_BY_TORCHRUN = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True)
class Processes:
    """What one process knows of all; with one alone, nothing here does anything.

    Every method is called by all processes in the same order. Each raises FinalError where another process has failed, or
    does not come within the time-out: torchrun then ends them all, and the newest checkpoint is what the next start goes on from.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """The one that writes."""
        return self.rank == 0

    def sum(self, value: float) -> float:
        """The sum over all processes, in float64."""
        return self._reduce(torch.tensor(value, dtype=torch.float64), dist.ReduceOp.SUM)

    def smallest(self, value: int) -> int:
        """The smallest over all processes."""
        return int(self._reduce(torch.tensor(value), dist.ReduceOp.MIN))

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process: then all act alike."""
        return self.sum(float(flag)) > 0

    def wait(self) -> None:
        """Until all are here."""
        self.sum(0.0)

    def from_first(self, value: T) -> T:
        """The first process's value, in every process."""
        if self.count == 1:
            return value
        box: list[Any] = [value]
        with self._hearing_all():
            dist.broadcast_object_list(box, src=0)
        received: T = box[0]
        return received

    def refuse_difference(self, what: str, value: str) -> None:
        """Raises ConfigError where a process has another ``value`` than the first: they would train two runs as if one."""
        if self.count == 1:
            return
        values: list[Any] = [None] * self.count
        with self._hearing_all():
            dist.all_gather_object(values, value)
        if others := [rank for rank, found in enumerate(values) if found != values[0]]:
            raise ConfigError(
                f"{what} of process {others[0]} is {values[others[0]]}, that of process 0 is {values[0]}: give every machine "
                "the same params.yaml, base, dataset and version of Serin"
            )

    def sum_gradients(self, weights: Sequence[torch.nn.Parameter]) -> None:
        """Leave in every process the sum of all processes' gradients, bit for bit the same one.

        Gradients travel laid end to end in the order of ``weights``, in messages of at most 64 MiB or of one weight. Those of
        sharded weights are passed over: FSDP sums them in the backward pass.
        """
        if self.count == 1:
            return
        for message in cut_into_messages([w for w in weights if not isinstance(w, DTensor)], _MESSAGE_BYTES):
            for weight in message:
                if weight.grad is None:  # this process had no example that reaches it
                    weight.grad = torch.zeros_like(weight)
            gradients = [weight.grad for weight in message if weight.grad is not None]
            flat = gradients[0].flatten() if len(gradients) == 1 else torch.cat([g.flatten() for g in gradients])
            with self._hearing_all():
                dist.all_reduce(flat)
            for gradient, total in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
                gradient.copy_(total.view_as(gradient))

    def _reduce(self, value: torch.Tensor, how: dist.ReduceOp.RedOpType) -> float:
        if self.count > 1:
            with self._hearing_all():
                dist.all_reduce(value, how)
        return value.item()

    @contextmanager
    def _hearing_all(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise FinalError(
                f"process {self.rank} of {self.count} does not hear from another one, which has failed or hangs ({error}): the "
                "cause is what the other one said; run again to go on from the newest checkpoint"
            ) from error


def cut_into_messages(weights: Sequence[torch.nn.Parameter], most_bytes: int) -> list[list[torch.nn.Parameter]]:
    """Neighbours of one type together, up to ``most_bytes``; a larger weight is alone. The same cut in every process."""
    messages: list[list[torch.nn.Parameter]] = []
    room = 0
    for weight in weights:
        if not messages or weight.nbytes > room or weight.dtype != messages[-1][0].dtype:
            messages.append([])
            room = most_bytes
        messages[-1].append(weight)
        room -= weight.nbytes
    return messages


@contextmanager
def processes(environment: Mapping[str, str] = os.environ, timeout: timedelta = _TIMEOUT) -> Iterator[Processes]:
    """Join the others that torchrun (or accelerate launch, which sets the same variables) started, if it did.

    Once in a launch: a second group would read in torchrun's store where the first one listened.

    Args:
        environment: WORLD_SIZE, RANK, LOCAL_RANK, MASTER_ADDR and MASTER_PORT.
        timeout: how long to wait for another process before taking it for dead.

    Raises:
        ConfigError: what torchrun sets is there in part only, or more processes than GPUs.
        FinalError: the others do not come.
    """
    found = environment.get("WORLD_SIZE", "1")
    if not found.isdecimal():
        raise ConfigError(
            f"WORLD_SIZE is {found!r}: expected a whole number, as torchrun sets it; unset it to train alone"
        )
    count = int(found)
    if count == 1:
        yield Processes(0, 1, default_device())
        return
    if missing := [name for name in _SET_BY_TORCHRUN if name not in environment]:
        raise ConfigError(f"WORLD_SIZE is {count}, and {', '.join(missing)} not set: start the processes by torchrun")
    device = default_device()
    if device.type == "cuda":
        local = int(environment["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise ConfigError(f"process {local} of this machine has no GPU: it has {torch.cuda.device_count()}")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    all_of_them = Processes(int(environment["RANK"]), count, device)
    with all_of_them._hearing_all():
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=timeout)
    try:
        yield all_of_them
    finally:
        dist.destroy_process_group()
