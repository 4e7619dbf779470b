"""What a forked process becomes: the Python program that somebody would have started, with everything imported already."""

import atexit
import contextlib
import fcntl
import os
import re
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

PROGRAMS = {"serin", "serin.task.process", "dvc", "torch.distributed.run"}
"""Modules that ``python -m`` runs here without a new interpreter."""

Streams = tuple[int, int, int]
"""Descriptors of standard input, output and error."""
_SERIN = re.compile(r"serin( [\w./=-]+)+")
"""What a shell would only split."""


@dataclass(frozen=True)
class Program:
    """``python -m module arguments``, where and how; ``before`` is a function (module:name) that gets ``told`` first."""

    module: str
    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    session: bool = False
    group: int | None = None
    niceness: int = 0
    before: str | None = None
    told: Any = None


def read_command(command: Any, shell: bool) -> tuple[str, list[str], int] | None:
    """Module, arguments and niceness of a command that starts one of the programs, by Python or in DVC's shell; else None."""
    words = [command] if isinstance(command, str) else [os.fsdecode(word) for word in command]
    if shell or words[-2:-1] == ["-c"]:
        is_shell = shell or words[0].endswith("sh")
        return ("serin", words[-1].split()[1:], 0) if is_shell and _SERIN.fullmatch(words[-1]) else None
    niceness = 10 if words[0] == "nice" else 0
    if niceness:
        words = words[1:]
    if words[0] != sys.executable:
        return None
    words = [word for word in words[1:2] if word != "-u"] + words[2:]
    if len(words) > 1 and words[0] == "-m" and words[1] in PROGRAMS:
        return words[1], words[2:], niceness
    return None


def become(program: Program, streams: Streams) -> NoReturn:
    """Run it in this process, which has just been forked, with these streams; ends the process."""
    code = 1
    try:
        _settle(program, streams)
        code = _run(program)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        os._exit(code)


def _settle(program: Program, streams: Streams) -> None:
    """What ``execve`` and a new interpreter would have seen to."""
    if program.session:
        os.setsid()
    elif program.group is not None:
        os.setpgid(0, program.group)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    apart = [fcntl.fcntl(stream, fcntl.F_DUPFD, 3) for stream in streams]
    for number, stream in enumerate(apart):
        os.dup2(stream, number)
    for entry in list(Path("/proc/self/fd").iterdir()):
        number = int(entry.name)
        with contextlib.suppress(OSError):
            if number > 2 and (number in apart or str(entry.readlink()).startswith(("pipe:", "socket:"))):
                os.close(number)
    os.chdir(program.folder)
    os.environ.clear()
    os.environ.update(program.environment)
    if program.niceness:
        os.nice(program.niceness)


def _run(program: Program) -> int:
    if program.before is not None:
        module, _, name = program.before.partition(":")
        getattr(__import__(module, fromlist=[name]), name)(program.told)
    sys.argv = [program.module, *program.arguments]
    try:
        runpy.run_module(program.module, run_name="__main__", alter_sys=True)
    except SystemExit as done:
        if done.code is None or isinstance(done.code, int):
            return (done.code or 0) & 0xFF
        print(done.code, file=sys.stderr)
        return 1
    return 0
