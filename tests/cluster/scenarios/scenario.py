"""A scenario: what is told, and what it needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from serin.core.task import STAGES, Stage

from ..backend import Need
from ..world import World


@dataclass(frozen=True)
class Scenario:
    """``tell`` acts and asserts. ``names`` are the FineTunes whose end is compared."""

    tell: Callable[[World], None]
    needs: frozenset[Need] = frozenset()
    """What the cluster must have."""
    names: Sequence[str] = ("law",)
    matrix: bool = True
    """Whether it is told in the crash matrix too."""
    stepped: bool = False
    """Whether it needs the controller's clock too, which only the one without threads shares with the cluster."""
    stages: dict[Stage, int] = field(default_factory=dict)
    """Jobs of each stage of each name when it is over."""

    @property
    def name(self) -> str:
        """Of its function."""
        return self.tell.__name__

    @property
    def made(self) -> dict[tuple[str, Stage], int]:
        """Jobs that were ever made, of each name and stage."""
        return {(name, stage): count for name in self.names for stage, count in self.stages.items()}


SCENARIOS: list[Scenario] = []
ALL: dict[Stage, int] = dict.fromkeys(STAGES, 1)
TRAIN: dict[Stage, int] = {"train": 1}


def scenario(
    *needs: Need, made: dict[Stage, int], names: Sequence[str] = ("law",), matrix: bool = True, stepped: bool = False
) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Add a function to the scenarios."""

    def add(tell: Callable[[World], None]) -> Callable[[World], None]:
        SCENARIOS.append(Scenario(tell, frozenset(needs), tuple(names), matrix, stepped, made))
        return tell

    return add
