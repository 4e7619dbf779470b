"""Ports: is one free, and which ones are."""

import errno
import socket

from serin.core.errors import ServingError


def require_free(host: str, port: int) -> None:
    """Raises ServingError, naming the port, where nothing can listen on it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "is taken" if taken else f"cannot be listened on ({error.strerror})"
            raise ServingError(
                f"port {port} on {host} {reason}: set serve.port in params.yaml, or stop what listens there "
                f"('ss -ltnp sport = :{port}' names it)"
            ) from error


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listened a moment ago, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
