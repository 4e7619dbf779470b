"""The controller's threads: watches, storage, a lease, and workers that look at one FineTune after another."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from serin.clients.kubernetes import Cluster, Kind, Object, UnavailableError
from serin.clients.kubernetes.events import Events
from serin.clients.storage import open_storage
from serin.controller.loop.caches import WATCHED, Caches
from serin.controller.loop.lease import LeaseLock, LeaseTimes, keep
from serin.controller.loop.metrics import Metrics
from serin.controller.loop.queue import WorkQueue
from serin.controller.loop.reconcile import Reconciler
from serin.controller.loop.storage_facts import Open, StorageFacts
from serin.controller.loop.watcher import Watcher
from serin.core.errors import SerinError

_LOG = logging.getLogger(__name__)
LEASE = "serin-controller"
_GUARD_S = 0.1
_STUCK_S = 120.0
_LEAVING_S = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How the controller works."""

    identity: str
    """This process, as the Lease names it; no other may have the same."""
    workers: int = 4
    """How many FineTunes are looked at side by side."""
    relist_s: float = 60.0
    """How often everything is listed again, which makes good what a watch lost."""
    lease: str = LEASE
    """Name of the Lease."""
    lease_times: LeaseTimes = field(default_factory=LeaseTimes)


class Controller:
    """One candidate for a namespace's FineTunes: it watches from the start, and acts once it holds the Lease.

    Args:
        cluster: the API server, whose requests are shorter than the Lease.
        settings: how.
        metrics: what is counted.
        open_storage: from params to storage.
        now: the time.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        metrics: Metrics,
        open_storage: Open = open_storage,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.caches = Caches()
        self.queue: WorkQueue[str] = WorkQueue()
        self.lock = LeaseLock(cluster, settings.lease, settings.identity, settings.lease_times)
        self.facts = StorageFacts(cluster, open_storage, self.queue.add, self._found)
        self.reconciler = Reconciler(
            cluster, self.caches, self.facts, Events(cluster, settings.identity), metrics, self.lock.holds, now
        )
        self._stopping = threading.Event()
        self._busy: dict[int, tuple[str, float]] = {}
        self._threads: list[threading.Thread] = []
        self._workers: list[threading.Thread] = []
        self.watchers = [
            Watcher(
                cluster,
                watched,
                self.caches.by_kind[watched.kind],
                self._told(watched.kind),
                settings.relist_s,
                self._stopping,
            )
            for watched in WATCHED
        ]

    def run(self, stopping: threading.Event, leave: Callable[[int], None]) -> None:
        """Work until ``stopping``, then finish what is under way, let go of the Lease and return.

        Args:
            stopping: from outside, such as by SIGTERM.
            leave: ends the process at once. It is called where the Lease is lost: a request may be under way that nobody can
                take back, and another controller is about to act.
        """
        self._start()
        while not stopping.wait(_GUARD_S):
            if self.lock.was_lost():
                self.metrics.leader.set(0)
                _LOG.critical("the lease is lost", extra={"lease": self.lock.name, "identity": self.lock.identity})
                self.queue.close()
                return leave(1)
        return self._stop(leave)

    def not_ready(self) -> list[str]:
        """What has not been listed yet. One that waits for the Lease is ready: it could take over now."""
        return [f"{each.watched.kind.plural} are not listed yet" for each in self.watchers if not each.synced.is_set()]

    def not_alive(self) -> list[str]:
        """What is stuck, so that only a new process helps. An API server that does not answer is no reason."""
        now = time.monotonic()
        found = [
            f"a worker has looked at {name} for {now - at:.0f} s"
            for name, at in [*self._busy.values()]
            if now - at > _STUCK_S
        ]
        late_s = self.settings.relist_s + _STUCK_S
        for each in self.watchers:
            if each.turned and now - each.turned > late_s:
                found.append(f"the watch of {each.watched.kind.plural} has done nothing for {now - each.turned:.0f} s")
        return found + [f"thread {thread.name} has ended" for thread in self._threads if not thread.is_alive()]

    def measure(self) -> None:
        """Bring up to date what is only measured when it is asked for."""
        self.metrics.queue.set(len(self.queue))
        self.metrics.leader.set(1 if self.lock.holds() else 0)

    def _start(self) -> None:
        self.facts.start()
        for watcher in self.watchers:
            self._thread(watcher.run, f"watch {watcher.watched.kind.plural}")
        self._thread(lambda: keep(self.lock, self._stopping, self._lead), "lease")

    def _lead(self) -> None:
        """From now on this one acts."""
        for number in range(self.settings.workers):
            worker = threading.Thread(target=self._work, name=f"worker {number}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _stop(self, leave: Callable[[int], None]) -> None:
        self._stopping.set()
        self.queue.close()
        self.facts.close()
        end = time.monotonic() + _LEAVING_S
        for worker in self._workers:
            worker.join(max(0.0, end - time.monotonic()))
        if any(worker.is_alive() for worker in self._workers):
            _LOG.warning("a request is still under way: the lease runs out by itself")
            return leave(0)
        try:
            self.lock.release()
        except SerinError as error:
            _LOG.warning("the lease is not released, and runs out by itself", extra={"error": str(error)})
        return None

    def _thread(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _told(self, kind: Kind) -> Callable[[Iterable[str]], None]:
        def changed(words: Iterable[str]) -> None:
            for name in set(self.caches.finetunes_of(kind, words)):
                self.queue.add(name)

        return changed

    def _found(self, kind: Kind, found: Object) -> None:
        self.caches.by_kind[kind].put(found)

    def _work(self) -> None:
        for watcher in self.watchers:
            # A Job that has not been listed yet would be taken for one that is not there.
            while not watcher.synced.wait(_GUARD_S):
                if self._stopping.is_set():
                    return
        while (name := self.queue.take()) is not None:
            self._busy[threading.get_ident()] = (name, time.monotonic())
            try:
                with self.metrics.reconcile_seconds.time():
                    outcome = self._look(name)
                self.metrics.reconciles.labels(outcome).inc()
            finally:
                del self._busy[threading.get_ident()]
                self.queue.done(name)

    def _look(self, name: str) -> str:
        """One reconcile; in a word, how it ended."""
        try:
            again_s = self.reconciler.reconcile(name)
        except SerinError as error:
            asked_s = error.retry_after_s if isinstance(error, UnavailableError) else None
            pause_s = self.queue.retry(name, asked_s)
            _LOG.warning(
                "tried again later", extra={"finetune": name, "error": str(error), "again_s": round(pause_s, 1)}
            )
            return "retried"
        except Exception:
            # A fault of this code with one object must not stop the work at all others.
            _LOG.exception("looking at a FineTune failed", extra={"finetune": name})
            self.queue.retry(name)
            return "failed"
        self.queue.succeeded(name)
        if again_s is not None:
            self.queue.add_after(name, again_s)
        return "done"
