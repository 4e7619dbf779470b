"""Serving state: how traffic is split, which revisions shall run, and which do. One interface, a back end for each place.

What it holds is in ``values``, the interface in ``state``; ``folder`` keeps it on one machine, and ``cluster``, which is not
imported here since it takes the package kubernetes, in a cluster.
"""

from serin.clients.serving_state.folder import FolderState, SupervisorInfo
from serin.clients.serving_state.state import ServingState
from serin.clients.serving_state.values import (
    SCALE,
    Declared,
    RevisionStatus,
    Seen,
    Topology,
    Weights,
    declared_from,
    weights_from,
)

__all__ = [
    "SCALE",
    "Declared",
    "FolderState",
    "RevisionStatus",
    "Seen",
    "ServingState",
    "SupervisorInfo",
    "Topology",
    "Weights",
    "declared_from",
    "weights_from",
]
