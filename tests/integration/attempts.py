"""Attempts at commands, each in a process of its own that ends where a test wants it.

A blow is a signal that the attempt sends itself at the n-th call of a function.
"""

import errno
import importlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.warm.start import Warm


@dataclass(frozen=True)
class Blow:
    """What happens at the ``call``-th call of ``function`` (module:name), ``before`` it does anything or after.

    A signal to the process itself, or where ``signal`` is None an error: the one that a GPU raises when its memory runs out, or
    with ``full_disk`` the one that the system gives a write.
    """

    function: str
    call: int
    signal: int | None
    before: bool = True
    full_disk: bool = False


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: its exit code (negative: the signal), and what it wrote."""

    code: int
    output: str


@dataclass(frozen=True)
class Attempts:
    """Makes attempts."""

    warm: Warm

    def run(
        self,
        folder: Path,
        *arguments: str,
        blows: Sequence[Blow] = (),
        environment: Mapping[str, str] | None = None,
        spare_bytes: int | None = None,
    ) -> Ended:
        """Run ``serin`` with these arguments in ``folder``, with ``spare_bytes`` of address space beyond what imports took."""
        log = folder / "attempt.log"
        with log.open("wb") as output:
            process = self.warm.popen(
                [sys.executable, "-m", "serin", *arguments],
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                before=f"{__name__}:prepare",
                told={"blows": [asdict(blow) for blow in blows], "spare_bytes": spare_bytes},
            )
        return Ended(process.wait(), log.read_text())


def prepare(told: Mapping[str, Any]) -> None:
    """In the attempt's process, before anything else."""
    if told["spare_bytes"] is not None:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + told["spare_bytes"], resource.RLIM_INFINITY))
    for blow in told["blows"]:
        strike(blow)


def strike(blow: Mapping[str, Any]) -> None:
    """Put the blow where it is to fall."""
    module_name, _, name = blow["function"].partition(":")
    owner: Any = importlib.import_module(module_name)
    *path, name = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    function: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def struck(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == blow["call"] and blow["before"]:
            fall(blow["signal"], blow["full_disk"])
        result = function(*args, **kwargs)
        if calls == blow["call"] and not blow["before"]:
            fall(blow["signal"], blow["full_disk"])
        return result

    setattr(owner, name, struck)


def fall(number: int | None, full_disk: bool) -> None:
    """The blow itself."""
    if number is not None:
        os.kill(os.getpid(), number)
        return
    if full_disk:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    import torch

    raise torch.OutOfMemoryError("injected")
