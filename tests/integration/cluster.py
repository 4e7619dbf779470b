"""A cluster in this process: the stand-in API server, the real controller, and pods that run the real task."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.warm.start import Warm

from serin.clients.kubernetes import open_cluster
from serin.controller.loop.controller import Controller, Settings
from serin.controller.loop.lease import LeaseTimes
from serin.controller.loop.metrics import Metrics

from ..cluster.standin import Run, StandIn

_PASSED_ON = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "NO_PROXY", "no_proxy")

_PATIENT = LeaseTimes(duration_s=120.0, give_up_s=90.0)
"""Pods that train here take all of the machine, and what a lost Lease does is tested elsewhere."""


@contextmanager
def real_pods(folder: Path, warm: Warm) -> Iterator[StandIn]:
    """A cluster whose pods run ``python -m serin task`` in folders of their own."""
    with StandIn() as standin, controlled(standin):
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        standin.pods.default = Run(folder, passed, warm.popen)
        yield standin


@contextmanager
def controlled(standin: StandIn) -> Iterator[None]:
    """Let a controller work for the length of a block."""
    cluster = open_cluster(None, None, {"KUBECONFIG": str(standin.kubeconfig_of("controller"))})
    stopping, left = threading.Event(), list[int]()
    settings = Settings("a-test", relist_s=5.0, lease_times=_PATIENT)
    controller = Controller(cluster, settings, Metrics())
    thread = threading.Thread(target=controller.run, args=(stopping, left.append), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(30)
    assert not left, "the controller lost its lease"
