"""Who acts: the holder of a Lease (coordination.k8s.io/v1), one at a time.

A holder renews it every few seconds, under the Lease's resourceVersion. Another one takes it when it has seen no renewal for the
Lease's whole duration, by its own clock, so that clocks need not agree. A holder that could not renew gives up
``safety`` earlier than that, counted from before the request that renewed last; it then has to end at once, since a request
of it may still be under way (``guard`` says when; the process exits).
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serin.clients.kubernetes import Cluster, ConflictError
from serin.clients.kubernetes.kinds import LEASES
from serin.core.errors import SerinError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds. A renewal's request must end before the holder gives up, and that before anybody else takes over."""

    duration_s: float = 15.0
    """From the last renewal that others saw to the moment at which they take it."""
    give_up_s: float = 10.0
    """From the last renewal to the moment at which the holder ends."""
    renew_s: float = 2.0
    """Between renewals, and between looks of those that wait."""
    request_s: float = 4.0
    """The longest of one request."""


class LeaseLock:
    """One candidate for a Lease.

    Args:
        cluster: where the Lease lies.
        name: its name.
        identity: who this is; no other process may have the same.
        times: how often and how long.
        clock: monotonic seconds.
        now: the time of day, which stands in the Lease for people.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        identity: str,
        times: LeaseTimes,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.identity = identity
        self.times = times
        self._clock = clock
        self._now = now
        self._renewed: float | None = None
        self._last: dict[str, Any] | None = None
        self._seen: tuple[str, str] | None = None
        self._seen_at = 0.0

    def holds(self) -> bool:
        """Whether this one may act: it renewed the Lease a short while ago."""
        return self._renewed is not None and self._clock() - self._renewed < self.times.give_up_s

    def was_lost(self) -> bool:
        """Whether this one held the Lease and holds it no more."""
        return self._renewed is not None and not self.holds()

    def look(self) -> bool:
        """Renew the Lease, or take it where it is free; whether this one holds it now.

        Raises:
            SerinError: the API server does not answer or does not allow it; what held before still holds for a while.
        """
        start = self._clock()
        # What the last renewal answered is still there, unless somebody else wrote it since: then this one is refused.
        lease, self._last = self._last or self.cluster.get(LEASES, self.name, self.times.request_s), None
        if lease is None:
            return self._write(start, None)
        spec = lease.get("spec") or {}
        holder = str(spec.get("holderIdentity") or "")
        if holder == self.identity:
            return self._write(start, lease)
        if self._renewed is not None:
            # It was taken over, so this one's time had run out.
            self._renewed = float("-inf")
            return False
        return self._write(start, lease) if not holder or self._is_stale(holder, spec) else False

    def release(self) -> None:
        """Let the next one take it at once. Raises SerinError where the API server does not answer."""
        if not self.holds():
            return
        self._renewed = self._last = None
        lease = self.cluster.get(LEASES, self.name, self.times.request_s)
        if lease is not None and (lease.get("spec") or {}).get("holderIdentity") == self.identity:
            self._put(lease, {"holderIdentity": "", "leaseDurationSeconds": 1})

    def _is_stale(self, holder: str, spec: Mapping[str, Any]) -> bool:
        """Whether nobody renewed it for as long as it says."""
        seen = (holder, str(spec.get("renewTime")))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._clock()
        duration_s = float(spec.get("leaseDurationSeconds") or self.times.duration_s)
        return self._clock() - self._seen_at > duration_s

    def _write(self, start: float, lease: dict[str, Any] | None) -> bool:
        before = (lease or {}).get("spec") or {}
        mine = before.get("holderIdentity") == self.identity
        now = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        fields = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.times.duration_s)),
            "renewTime": now,
            "acquireTime": before.get("acquireTime") if mine else now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if mine or lease is None else 1),
        }
        try:
            if lease is None:
                metadata = {"name": self.name, "namespace": self.cluster.namespace}
                body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": fields}
                self._last = self.cluster.create(LEASES, body)
            else:
                self._last = self._put(lease, fields)
        except ConflictError:
            return self.holds()  # somebody else wrote it, or our own request whose answer was lost; the next look tells
        self._renewed = start
        return True

    def _put(self, lease: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        body = {**lease, "spec": {**(lease.get("spec") or {}), **fields}}
        return self.cluster.replace(LEASES, self.name, body, self.times.request_s)


def keep(lock: LeaseLock, stopping: threading.Event, acquired: Callable[[], None]) -> None:
    """Look again and again, until ``stopping``; ``acquired`` is called once, when the lock is held for the first time."""
    told = False
    while not stopping.is_set() and not lock.was_lost():
        try:
            if lock.look() and not told:
                told = True
                _LOG.info("this is the leader", extra={"lease": lock.name, "identity": lock.identity})
                acquired()
        except SerinError as error:
            _LOG.warning("the lease cannot be read or renewed", extra={"lease": lock.name, "error": str(error)})
        stopping.wait(lock.times.renew_s)
