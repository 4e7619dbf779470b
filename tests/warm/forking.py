"""``subprocess.Popen`` for a process that was forked: its own Python programs it forks too, as its children."""

import os
import subprocess
from pathlib import Path
from typing import Any

from .process import Program, Streams, become, read_command


class ForkingPopen(subprocess.Popen[Any]):
    """As ``Popen``; a program that ``read_command`` knows begins as a fork of this process instead of a new interpreter."""

    def _execute_child(self, args: Any, *more: Any) -> None:
        """``more`` is ``Popen``'s own affair, in the order of Python 3.11 and 3.12."""
        executable, _, _, _, cwd, env, _, _, shell, *pipes = more[:15]
        p2cread, _, _, c2pwrite, _, errwrite = pipes
        found = read_command(args, shell) if executable is None else None
        if found is None:
            super()._execute_child(args, *more)  # type: ignore[misc]
            return
        module, arguments, niceness = found
        session, group = more[20:22]
        program = Program(
            module,
            arguments,
            str(Path.cwd() if cwd is None else Path(os.fsdecode(cwd)).absolute()),
            dict(os.environ if env is None else env),
            session,
            None if group == -1 else group,
            niceness,
        )
        streams = tuple(own if given == -1 else given for own, given in enumerate((p2cread, c2pwrite, errwrite)))
        self.pid = self._fork(program, (streams[0], streams[1], streams[2]))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _fork(self, program: Program, streams: Streams) -> int:
        process = os.fork()
        if process == 0:
            become(program, streams)
        return process
