"""List, find, stop, resume and delete FineTunes."""

from typing import Any

from serin.clients.kubernetes.cluster import Cluster
from serin.clients.kubernetes.faults import ConflictError
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.core.errors import InputError, UsageError
from serin.job.wording import ENDED, phase_of


def list_finetunes(cluster: Cluster) -> list[dict[str, Any]]:
    """All of the namespace, the newest first."""
    items, _ = cluster.list(FINE_TUNES)
    return sorted(items, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]), reverse=True)


def find(cluster: Cluster, name: str) -> dict[str, Any]:
    """One of them. Raises InputError where there is none of that name."""
    found = cluster.get(FINE_TUNES, name)
    if found is None:
        raise InputError(f"{name} is not in {cluster.namespace}: 'serin job list' shows what is there")
    return found


def suspend(cluster: Cluster, name: str, stop: bool) -> str:
    """Set ``spec.suspend``, and say what comes of it.

    Raises:
        InputError: there is none of that name.
        UsageError: it has ended.
    """
    found = find(cluster, name)
    phase = phase_of(found)
    if phase in ENDED:
        raise UsageError(f"{name} has {phase.lower()} already: there is nothing to {'stop' if stop else 'resume'}")
    if bool(found["spec"].get("suspend")) == stop:
        return f"{name} is suspended already" if stop else f"{name} is not suspended: there is nothing to resume"
    cluster.patch(FINE_TUNES, name, {"spec": {"suspend": stop}})
    if stop:
        return (
            f"{name} stops after saving a checkpoint, and holds no GPU then; 'serin job resume {name}' goes on from it"
        )
    return f"{name} goes on from its newest checkpoint; 'serin job follow {name}' shows it"


def delete(cluster: Cluster, name: str, uid: str) -> None:
    """Delete that very object; its Jobs and pods go with it, and what it stored stays.

    Raises:
        InputError: it is gone already, or another one has its name now.
    """
    if not delete_if_there(cluster, name, uid):
        raise InputError(f"{name} is gone from {cluster.namespace} already; 'serin job list' shows what is there")


def delete_if_there(cluster: Cluster, name: str, uid: str) -> bool:
    """Delete that very object; False where it is gone, or another one has its name."""
    try:
        return cluster.delete(FINE_TUNES, name, uid)
    except ConflictError:
        return False
