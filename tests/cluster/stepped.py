"""The real controller without threads: one turn after another, so that it can be killed at any request, always the same way."""

from collections.abc import Callable
from datetime import datetime

from serin.clients.kubernetes import AbsentError, Cluster
from serin.clients.kubernetes.events import Events
from serin.clients.storage import Storage
from serin.controller.loop.caches import WATCHED, Caches
from serin.controller.loop.metrics import Metrics
from serin.controller.loop.reconcile import Reconciler
from serin.controller.loop.storage_facts import StorageFacts
from serin.core.errors import SerinError


class Process:
    """One life of the controller: caches, facts and queues begin empty, and end with it."""

    def __init__(self, cluster: Cluster, storage: Storage, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._caches = Caches()
        self._changed: dict[str, None] = {}
        self._facts = StorageFacts(
            cluster, lambda _: storage, self._note, lambda kind, job: self._caches.by_kind[kind].put(job), _seconds(now)
        )
        self._reconciler = Reconciler(
            cluster=cluster,
            caches=self._caches,
            facts=self._facts,
            events=Events(cluster, "controller-0"),
            metrics=Metrics(),
            may_act=lambda: True,
            now=now,
            clock=_seconds(now),
        )

    def turn(self) -> None:
        """See what changed, look at every FineTune, and at storage as far as they ask for it, until nothing is left to do."""
        for watched in WATCHED:
            try:
                _, changed = self._caches.by_kind[watched.kind].reset(self._cluster.pages(watched.kind, watched.labels))
            except AbsentError:
                if not watched.optional:
                    raise
                continue
            for name in self._caches.finetunes_of(watched.kind, changed):
                self._note(name)
        for name in self._caches.by_kind[WATCHED[0].kind].names():
            self._note(name)  # time alone may have changed something
        for _ in range(20):
            names, self._changed = list(self._changed), {}
            for name in names:
                self._look(name)
            self._facts.answer_now()
            if not self._changed:
                return

    def _note(self, name: str) -> None:
        self._changed[name] = None

    def _look(self, name: str) -> None:
        try:
            self._reconciler.reconcile(name)
        except SerinError:
            return  # it is looked at again in the next turn


def _seconds(now: Callable[[], datetime]) -> Callable[[], float]:
    return lambda: now().timestamp()
