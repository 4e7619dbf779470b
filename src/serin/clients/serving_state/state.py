"""What every back end of the serving state can do, whether it is a folder or a cluster."""

from collections.abc import Callable, Mapping
from typing import Protocol

from serin.clients.serving_state.values import RevisionStatus, Topology, Weights


class ServingState(Protocol):
    """The split, which revisions shall run, and which do; gateways acknowledge the split that they follow."""

    @property
    def name(self) -> str:
        """Where it is, for messages."""

    @property
    def logs(self) -> str:
        """Where to read on when something went wrong, for messages."""

    def weights(self) -> Weights:
        """The split as it is declared. Raises InputError where it is damaged."""

    def change_weights(self, change: Callable[[Weights], Weights]) -> Weights:
        """Write ``change`` of the present weights with the next version; unchanged ones stay. It may be called again."""

    def acknowledge(self, replica: str, version: int) -> None:
        """Say that a gateway replica follows ``version``; renewed while it lives."""

    def acknowledged(self, version: int, now: float) -> bool:
        """Whether every living gateway replica (at least one) follows ``version`` or a later one."""

    def wait_for_ack(self, version: int, timeout_s: float = 10.0) -> None:
        """Return once every living gateway replica follows ``version``. Raises RetryableError when it takes longer."""

    def topology(self) -> Topology:
        """Which revisions shall run."""

    def change_topology(self, change: Callable[[Topology], Topology]) -> Topology:
        """Write ``change`` of the present topology. It may be called again."""

    def status(self) -> Mapping[str, RevisionStatus]:
        """Which revisions do run, as they were seen last."""

    def serves(self) -> bool:
        """Whether anything serves from this state now."""
