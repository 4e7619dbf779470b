"""``/metrics`` of all gateway replicas of a node, from whichever has the port; when that one ends, the next takes it.

Replicas share what they count through prometheus_client's multiprocess mode: one memory-mapped file a process in the folder
``PROMETHEUS_MULTIPROC_DIR``, which survives the process (prometheus.github.io/client_python/multiprocess). The library chooses
that mode when it is imported, so the variable stands in the environment that the replica is started with.
"""

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Metric, start_wsgi_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_RETRY_S = 1.0
_log = logging.getLogger(__name__)


class NodeCollector(Collector):
    """What every replica of this node has counted, and the gauges of those that live."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        for pid in {int(path.stem.rpartition("_")[2]) for path in self.folder.glob("gauge_live*.db")}:
            if not Path(f"/proc/{pid}").exists():
                mark_process_dead(pid, str(self.folder))  # type: ignore[no-untyped-call] # the library's
        collector = MultiProcessCollector(None, str(self.folder))  # type: ignore[no-untyped-call] # the library's
        yield from collector.collect()  # type: ignore[no-untyped-call] # the library's


class Exposition:
    """Tries for the port until it has it, in a thread, and answers from then on."""

    def __init__(self, host: str, port: int, own: CollectorRegistry, folder: Path | None) -> None:
        """``own`` is shown where there is no ``folder`` of several replicas."""
        self.host = host
        self.port = port
        self.registry = own
        if folder is not None:
            self.registry = CollectorRegistry()
            self.registry.register(NodeCollector(folder))
        self.server: WSGIServer | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Leave the port to others."""
        self._stopped.set()
        self._thread.join()

    def _serve(self) -> None:
        told = False
        while not self._stopped.is_set():
            try:
                self.server, thread = start_wsgi_server(self.port, self.host, self.registry)
                break
            except OSError as error:
                if not told:
                    _log.warning("port %d for metrics is taken (%s): trying on", self.port, error.strerror)
                told = True
                self._stopped.wait(_RETRY_S)
        self._stopped.wait()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            thread.join()


def shared_folder() -> Path | None:
    """The folder that this process was started to count in; it is made here."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path
