"""Attempts at commands, each in a process of its own that begins with everything imported, and ends where a test wants it.

Importing torch and its friends takes seconds, and a test of resuming needs dozens of starts. So one process imports them,
computes nothing, and forks for each attempt. A blow is a signal that the attempt sends itself at the n-th call of a function.
"""

import errno
import importlib
import json
import os
import resource
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

IMPORTED = (
    "serin.base.stage",
    "serin.train.stage",
    "serin.cli.train",
    "serin.cli.progress",
    "serin.clients.storage",
    "boto3",
)


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


@dataclass
class Attempts:
    """Starts attempts; ``close`` ends the process that they come from."""

    server: "subprocess.Popen[str]" = field(init=False)

    def __post_init__(self) -> None:
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
        )

    def run(
        self,
        folder: Path,
        *arguments: str,
        blows: Sequence[Blow] = (),
        environment: Mapping[str, str] | None = None,
        spare_bytes: int | None = None,
    ) -> Ended:
        """Run ``serin`` with these arguments in ``folder``, with ``spare_bytes`` of address space beyond what imports took."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        order = {
            "folder": str(folder),
            "arguments": arguments,
            "blows": [asdict(blow) for blow in blows],
            "environment": dict(environment or {}),
            "spare_bytes": spare_bytes,
        }
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        return Ended(code, (folder / "attempt.log").read_text())

    def close(self) -> None:
        """End the server; attempts have ended."""
        self.server.kill()
        self.server.communicate()


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


def attempt(order: Mapping[str, Any]) -> int:
    """What the forked process does."""
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    log = os.open("attempt.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    if order["spare_bytes"] is not None:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + order["spare_bytes"], resource.RLIM_INFINITY))
    for blow in order["blows"]:
        strike(blow)
    from serin.cli import main

    try:
        main(order["arguments"])
    except SystemExit as done:
        return int(done.code or 0)
    except BaseException:
        traceback.print_exc()
        return 99
    return 0


def serve() -> None:
    """Fork for each order that comes in."""
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            code = attempt(json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
