"""What scenarios do to a cluster besides what a user does: the hands of kubelet, clock and queue. Each cluster has its own."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from serin.core.task import Stage

from .kubelet import Pods

Need = Literal["jobs", "jobset", "kueue", "clock"]
"""What a cluster must have for a scenario: a controller that does ``jobs``, JobSet, Kueue, or a ``clock`` that can be put forward
by more than a test may wait. Nodes and a scheduler it need not have: the node of these pods is the tests' own."""

NEEDS: Mapping[Need, str] = {
    "jobs": "a controller that does Jobs (kube-controller-manager)",
    "jobset": "the JobSet controller",
    "kueue": "Kueue",
    "clock": "a clock that can be put forward",
}
"""In words, for what was not run."""


class Queues(Protocol):
    """Kueue, as its administrator has it."""

    def make(self, name: str) -> None:
        """A LocalQueue that has room for one run."""

    def take_back(self, job: str) -> None:
        """Give the room of a Job to somebody with a higher priority."""

    def give_again(self) -> None:
        """That one is done."""


class Backend(Protocol):
    """One namespace of a cluster, and what a test can do there that no user can."""

    pods: Pods
    queues: Queues
    placement: Mapping[str, Any]
    """What every run needs in ``spec.run.placement``, so that its pods come to the node of the tests."""
    made: Counter[tuple[str, Stage]]
    """How many Jobs or JobSets there ever were of each FineTune and stage, those that are gone included."""

    def has(self, need: Need) -> bool:
        """Whether it has what a scenario needs."""

    def pass_time(self, seconds: float) -> None:
        """Let the cluster's clock go on by so much."""
