"""Kueue's quota: whom a ClusterQueue has room for, and who has to go for somebody more important.

Source: kueue.sigs.k8s.io, concepts cluster_queue and preemption. One flavor, no cohorts. A LocalQueue whose ClusterQueue
is not there has room for everybody, for tests that are not about quota.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from .conditions import holds
from .objects import Object
from .quantities import amount
from .registry import Registry
from .resources import CLUSTER_QUEUES, LOCAL_QUEUES, WORKLOAD_PRIORITY_CLASSES, WORKLOADS

PRIORITY = "kueue.x-k8s.io/priority-class"


class Quota:
    """Reads queues and Workloads; it changes none."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def priority(self, job: Object) -> int:
        """Of the class that a Job or JobSet names."""
        named = (job["metadata"].get("labels") or {}).get(PRIORITY)
        found = self._registry.find(WORKLOAD_PRIORITY_CLASSES, "", named) if named else None
        return int((found or {}).get("value", 0))

    def has_room(self, workload: Object) -> bool:
        """Whether it may be admitted now: nobody more important waits, and what is left is enough."""
        queue = self._queue(workload)
        if queue is None:
            return True
        others = self._others(workload)
        if any(_priority(each) > _priority(workload) for each in others if not holds(each, "QuotaReserved")):
            return False
        return _fits(queue, [workload, *(each for each in others if holds(each, "QuotaReserved"))])

    def victims(self, workload: Object) -> Sequence[Object]:
        """Who has to go for it: of those with less priority as few as are enough, and nobody where all are not."""
        queue = self._queue(workload)
        if queue is None or (queue["spec"].get("preemption") or {}).get("withinClusterQueue") != "LowerPriority":
            return []
        admitted = [each for each in self._others(workload) if holds(each, "QuotaReserved")]
        lower = sorted((each for each in admitted if _priority(each) < _priority(workload)), key=_priority)
        for count in range(1, len(lower) + 1):
            gone = lower[:count]
            if _fits(queue, [workload, *(each for each in admitted if each not in gone)]):
                return gone
        return []

    def _queue(self, workload: Object) -> Object | None:
        namespace, name = workload["metadata"]["namespace"], workload["spec"]["queueName"]
        local = self._registry.find(LOCAL_QUEUES, namespace, name)
        return None if local is None else self._registry.find(CLUSTER_QUEUES, "", local["spec"]["clusterQueue"])

    def _others(self, workload: Object) -> Sequence[Object]:
        """Active Workloads of the same ClusterQueue, waiting and admitted."""
        queue, me = self._queue(workload), workload["metadata"]["uid"]
        found = [stored.object for stored in self._registry.store.all(WORKLOADS)]
        active = [each for each in found if each["spec"].get("active", True) and not holds(each, "Finished")]
        return [each for each in active if each["metadata"]["uid"] != me and self._queue(each) == queue]


def _fits(queue: Object, workloads: Sequence[Object]) -> bool:
    quotas = {
        resource["name"]: amount(resource["nominalQuota"])
        for group in queue["spec"]["resourceGroups"]
        for resource in group["flavors"][0]["resources"]
    }
    used: dict[str, Decimal] = {}
    for workload in workloads:
        for resource, wanted in _wanted(workload):
            used[resource] = used.get(resource, Decimal(0)) + wanted
    return all(total <= quotas.get(resource, 0) for resource, total in used.items())


def _wanted(workload: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
    """What its pods request; a limit without a request is one."""
    for part in workload["spec"]["podSets"]:
        for container in part["template"]["spec"]["containers"]:
            resources = container.get("resources") or {}
            requests = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
            yield from ((name, part["count"] * amount(wanted)) for name, wanted in requests.items())


def _priority(workload: Mapping[str, Any]) -> int:
    return int(workload["spec"].get("priority", 0))
