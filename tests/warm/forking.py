"""``subprocess.Popen`` for a process that was forked: its own Python programs it forks too, as its children."""

import os
import subprocess
from typing import Any

from .process import Program, become, folder_of, read_command


class ForkingPopen(subprocess.Popen[Any]):
    """As ``Popen``; a program that ``read_command`` knows begins as a fork of this process instead of a new interpreter."""

    def _execute_child(self, args: Any, *more: Any) -> None:
        (executable, _, _, _, cwd, env, _, _, shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite) = more[
            :15
        ]
        found = read_command(args, shell) if executable is None else None
        if found is None:
            super()._execute_child(args, *more)  # type: ignore[misc]
            return
        module, arguments, niceness = found
        session, group = more[20], more[21]
        program = Program(
            module,
            arguments,
            folder_of(cwd),
            dict(os.environ if env is None else env),
            session,
            group if group != -1 else None,
            niceness,
        )
        streams = tuple(own if given == -1 else given for own, given in enumerate((p2cread, c2pwrite, errwrite)))
        pid = os.fork()
        if pid == 0:
            become(program, streams)  # type: ignore[arg-type]
        self._child_created = True
        self.pid = pid
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]
