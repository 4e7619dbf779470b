"""Metrics and probes over HTTP."""

import urllib.error
import urllib.request

import pytest

from serin.controller.loop.metrics import Metrics
from serin.controller.loop.web import Web, check_page, metrics_page


def read(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_probes_say_what_is_wrong_and_metrics_are_brought_up_to_date() -> None:
    faults: list[str] = []
    metrics = Metrics()
    web = Web(
        "127.0.0.1",
        0,
        {
            "/readyz": check_page(lambda: faults),
            "/metrics": metrics_page(metrics.registry, lambda: metrics.queue.set(7)),
        },
    )
    try:
        assert read(web.port, "/readyz") == (200, "ok\n")
        faults.append("jobs are not listed yet")
        assert read(web.port, "/readyz?verbose") == (503, "jobs are not listed yet\n")
        assert "serin_queue_depth 7.0" in read(web.port, "/metrics")[1]
        assert read(web.port, "/debug")[0] == 404
        with pytest.raises(OSError, match="in use"):
            Web("127.0.0.1", web.port, {})
    finally:
        web.close()
