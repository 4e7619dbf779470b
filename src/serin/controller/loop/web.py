"""``/metrics``, ``/healthz`` and ``/readyz`` over HTTP."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], list[str]]
"""What is wrong, in words; empty: nothing."""
Answer = Callable[[], tuple[int, str, bytes]]


class Web:
    """Answers on one port, in the background, until ``close``.

    Args:
        host: where to listen.
        port: 0 takes a free one.
        pages: from paths to what they answer.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, host: str, port: int, pages: dict[str, Answer]) -> None:
        self._server = _Server((host, port), _Handler)
        self._server.pages = pages
        threading.Thread(target=self._server.serve_forever, name="web", daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


def metrics_page(registry: CollectorRegistry, before: Callable[[], None]) -> Answer:
    """What Prometheus reads; ``before`` brings up to date what is only measured when it is asked for."""

    def answer() -> tuple[int, str, bytes]:
        before()
        return 200, CONTENT_TYPE_LATEST, generate_latest(registry)

    return answer


def check_page(check: Check) -> Answer:
    """200 where nothing is wrong, else 503 and what is, one line each."""

    def answer() -> tuple[int, str, bytes]:
        faults = check()
        return (503 if faults else 200), "text/plain; charset=utf-8", ("\n".join(faults or ["ok"]) + "\n").encode()

    return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pages: dict[str, Answer]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        code, content_type, body = page() if page else (404, "text/plain; charset=utf-8", b"not found\n")
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Probes come every few seconds, and say nothing new."""
