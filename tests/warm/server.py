"""The process that has everything imported and computes nothing: it forks for each order that comes in.

An order comes by the socket that is this process's standard input: the length of its JSON, with four file descriptors beside it
(the new process's streams, and where to say what becomes of it), and then the JSON.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import subprocess

from .forking import ForkingPopen
from .process import Program, become

IMPORTED = (
    "serin.base.stage",
    "serin.prepare.stage",
    "serin.train.stage",
    "serin.train.processes",
    "serin.merge.stage",
    "serin.evaluate.stage",
    "serin.cli.train",
    "serin.cli.progress",
    "serin.task.run",
    "serin.clients.storage",
    "botocore.session",
    "peft",
    "torch.distributed.run",
    "dvc.cli",
    "dvc.repo",
    "dvc.commands.repro",
)
LENGTH = struct.Struct("!Q")


def serve(orders: socket.socket) -> None:
    """Fork for each order, and say on its own socket which process that is, and its wait status once it has ended."""
    subprocess.Popen = ForkingPopen  # type: ignore[misc]  # before anybody imports it by name
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection of each process copies, and walks, all that was imported
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    told: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([orders, woken], [], [])
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                woken.recv(1024)
            _tell_ends(told)
        if orders in ready:
            head, descriptors, _, _ = socket.recv_fds(orders, LENGTH.size, 4)
            if not head:
                return
            program = Program(**json.loads(_read(orders, LENGTH.unpack(head)[0])))
            *streams, status = descriptors
            process = os.fork()
            if process == 0:
                become(program, (streams[0], streams[1], streams[2]))
            for stream in streams:
                os.close(stream)
            told[process] = socket.socket(fileno=status)
            _say(told[process], process)


def _tell_ends(told: dict[int, socket.socket]) -> None:
    while told:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == 0:
            return
        with told.pop(process) as listener:
            _say(listener, status)


def _say(listener: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody waits for it any more
        listener.sendall(LENGTH.pack(number))


def _read(orders: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        data += orders.recv(length - len(data))
    return data


if __name__ == "__main__":
    serve(socket.socket(fileno=0))
