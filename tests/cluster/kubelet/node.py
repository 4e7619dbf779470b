"""What a scheduler and a kubelet ask of an API server."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

Object = dict[str, Any]


class Clock(Protocol):
    """The cluster's."""

    def now(self) -> datetime:
        """In UTC."""


class Node(Protocol):
    """All that is done to pods, on whatever cluster. What is asked of a pod that is gone, or another one by now, does nothing."""

    def pods(self) -> Sequence[Object]:
        """Every pod that may be run."""

    def find(self, pod: Object) -> Object | None:
        """A pod as it is now; None once it is gone, or another one has its name."""

    def bind(self, pod: Object) -> None:
        """Say on which node it runs."""

    def report(self, pod: Object, status: Mapping[str, Any]) -> None:
        """Change its status by a strategic merge patch: conditions are merged by their type, null removes."""

    def delete(self, pod: Object) -> None:
        """Ask for its end, as anybody may: it has its grace period."""

    def confirm(self, pod: Object) -> None:
        """It has ended, and may go."""
