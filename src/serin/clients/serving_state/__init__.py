"""Serving state: how traffic is split, which revisions shall run, and which do. One interface, a back end for each place.

What it holds is in ``values``, the interface in ``state``; ``folder`` keeps it on one machine.
"""

from serin.clients.serving_state.folder import FolderState, SupervisorInfo
from serin.clients.serving_state.state import ServingState
from serin.clients.serving_state.values import RevisionStatus, Topology, Weights, weights_from

__all__ = [
    "FolderState",
    "RevisionStatus",
    "ServingState",
    "SupervisorInfo",
    "Topology",
    "Weights",
    "weights_from",
]
