"""Bring a FineTune to the cluster, once."""

from collections.abc import Mapping
from typing import Any

from serin.clients.kubernetes.cluster import Cluster
from serin.clients.kubernetes.faults import ExistsError
from serin.clients.kubernetes.kinds import FINE_TUNES
from serin.core.errors import UsageError
from serin.job.control import find
from serin.job.finetune import is_same_run


def submit(cluster: Cluster, finetune: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Create it; the same one that is there already is as good.

    Returns:
        The object as the API server has it, and whether it is new.

    Raises:
        UsageError: another run has its name: ``spec.run`` never changes.
        InvalidError: the API server's own rules are broken.
    """
    present, is_new = create_or_find(cluster, finetune)
    if not is_new and not is_same_run(present, finetune):
        name = finetune["metadata"]["name"]
        raise UsageError(
            f"{name} is in {cluster.namespace} already, and is another run: spec.run never changes; give this one another "
            f"--name, or 'serin job delete {name}' first"
        )
    return present, is_new


def create_or_find(cluster: Cluster, finetune: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Create it, or find what has its name already; whether it is new."""
    try:
        return cluster.create(FINE_TUNES, finetune), True
    except ExistsError:
        return find(cluster, finetune["metadata"]["name"]), False


def check(cluster: Cluster, finetune: Mapping[str, Any]) -> dict[str, Any]:
    """The object as the API server would store it, had it been created now; nothing is stored.

    Raises:
        InvalidError: the API server's own rules are broken.
    """
    try:
        return cluster.create(FINE_TUNES, finetune, dry_run=True)
    except ExistsError:
        return find(cluster, finetune["metadata"]["name"])
