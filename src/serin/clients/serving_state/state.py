"""What every back end of the serving state can do, whether it is a folder or a cluster."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from serin.clients.serving_state.values import RevisionStatus, Seen, Topology, Weights


class ServingState(Protocol):
    """The split, which revisions shall run, and which do; gateways acknowledge the split that they follow."""

    @property
    def name(self) -> str:
        """Where it is, for messages."""

    @property
    def logs(self) -> str:
        """Where to read on when something went wrong, for messages."""

    @property
    def renew_s(self) -> float:
        """How often a gateway replica renews its acknowledgement."""

    @property
    def poll_s(self) -> float:
        """How often a waiting command may ask."""

    def weights(self) -> Weights:
        """The split as it is declared. Raises InputError where it is damaged."""

    def change_weights(self, change: Callable[[Weights], Weights]) -> Weights:
        """Write ``change`` of the present weights with the next version; unchanged ones stay. It may be called again."""

    def acknowledge(self, replica: str, version: int) -> None:
        """Say that a gateway replica follows ``version``; renewed while it lives."""

    def forget(self, replica: str) -> None:
        """A gateway replica ends: nobody need wait for it."""

    def wait_for_ack(self, version: int, timeout_s: float | None = None) -> None:
        """Return once every living gateway replica (at least one) follows ``version`` or a later one.

        Raises:
            RetryableError: it takes longer than ``timeout_s``; None: than is usual here.
        """

    def topology(self) -> Topology:
        """Which revisions shall run."""

    def change_topology(self, change: Callable[[Topology], Topology]) -> Topology:
        """Write ``change`` of the present topology. It may be called again."""

    def status(self) -> Mapping[str, RevisionStatus]:
        """How the declared revisions are, and those that are still draining; one that was not seen yet is missing."""

    def serves(self) -> bool:
        """Whether anything serves from this state now."""

    def look(self) -> Seen:
        """What a gateway goes by, now."""

    def follow(self, heard: Callable[[Seen], None], stopped: threading.Event) -> None:
        """Call ``heard`` whenever what gateways go by may have changed, until ``stopped``; it runs in a thread of its own.

        What cannot be read leaves the last value in force.
        """

    def evidence_path(self, replica: str) -> Path:
        """The file on this machine to which a gateway replica appends what it saw."""
