"""The loop over all ModelRollouts of a namespace: one after another, on every change and, while one runs, every few seconds."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from serin.clients.evidence.shipped import StorageReader
from serin.clients.kubernetes import Cluster, ExpiredError
from serin.clients.kubernetes.events import Events
from serin.clients.kubernetes.kinds import MODEL_ROLLOUTS
from serin.clients.serving_state.cluster import ClusterState
from serin.clients.storage import open_storage
from serin.core.errors import SerinError
from serin.rollout.cluster.reconcile import Reconciler, rollout_of

_LOG = logging.getLogger(__name__)
_EVERY_S = 5.0
_IDLE_S = 60.0
_PAUSE_S = 0.5


class RolloutLoop:
    """Works in a thread of its own while this process may act.

    Args:
        reconciler: looks at one of them.
        cluster: where they are.
        may_act: whether this process holds the lease.
        every_s: the longest between two looks at all of them while one is not decided; then a change is waited for.
    """

    def __init__(
        self, reconciler: Reconciler, cluster: Cluster, may_act: Callable[[], bool], every_s: float = _EVERY_S
    ) -> None:
        self._reconciler = reconciler
        self._cluster = cluster
        self._may_act = may_act
        self._every_s = every_s
        self._alive: set[str] | None = None
        """Those whose deletion would be noticed; None before the first look."""
        self._undecided = False

    def run(self, stopping: threading.Event) -> None:
        """Until ``stopping``; whatever the API server answers, it is asked again."""
        while not stopping.is_set():
            if not self._may_act():
                stopping.wait(_PAUSE_S)
                continue
            try:
                version, generations = self.look()
                self._wait(version, generations, self._every_s if self._undecided else _IDLE_S)
            except ExpiredError:
                continue
            except SerinError as error:
                _LOG.warning("rollouts are looked at again later", extra={"error": str(error)})
                stopping.wait(self._every_s)

    def look(self) -> tuple[str, dict[str, int]]:
        """Look at all of them once; the resourceVersion that they show, and their generations by uid."""
        items, version = self._cluster.list(MODEL_ROLLOUTS)
        here = [item for item in items if not item["metadata"].get("deletionTimestamp")]
        for item in here:
            if not self._may_act():
                break
            try:
                self._reconciler.reconcile(item)
            except SerinError as error:
                name = item["metadata"]["name"]
                _LOG.warning("tried again later", extra={"modelrollout": name, "error": str(error)})
            except Exception:
                # A fault of this code with one object must not stop the work at all others.
                _LOG.exception("looking at a ModelRollout failed", extra={"modelrollout": item["metadata"]["name"]})
        self._undecided = any(not (item.get("status") or {}).get("ended") for item in here)
        alive = {rollout_of(item) for item in here}
        if self._may_act() and alive != self._alive:
            self._reconciler.forget_all_but(alive)
            self._alive = alive
        generations = {str(item["metadata"]["uid"]): int(item["metadata"].get("generation") or 0) for item in items}
        return version, generations

    def _wait(self, version: str, generations: dict[str, int], longest_s: float) -> None:
        """Until somebody changed a spec, made or deleted one, or the time is over; our own writes of status are no news."""
        for sort, found in self._cluster.watch(MODEL_ROLLOUTS, version, timeout_s=longest_s):
            if sort == "BOOKMARK":
                continue
            metadata = found["metadata"]
            if sort == "DELETED" or generations.get(str(metadata["uid"])) != metadata.get("generation"):
                return


def rollout_loop(cluster: Cluster, identity: str, may_act: Callable[[], bool]) -> RolloutLoop:
    """The loop with everything as it is in production."""
    reconciler = Reconciler(
        cluster=cluster,
        serving_of=lambda rayservice: ClusterState(cluster, rayservice, Path()),
        storage_of=open_storage,
        reader_of=StorageReader,
        events=Events(cluster, identity),
        now=time.time,
    )
    return RolloutLoop(reconciler, cluster, may_act)
