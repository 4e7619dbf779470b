"""What a metric is: it sees questions with one model's answers, and gives a value for each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from serin.core.conversation import Conversation
from serin.lm.generate import Answer

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question, whose ``conversation.reference`` is what the data says, and one model's answer to it."""

    conversation: Conversation
    answer: Answer


@dataclass(frozen=True, slots=True)
class Scores:
    """Values in the order of the questions."""

    values: tuple[float | None, ...]
    """None where the metric says nothing about a question; it then counts nowhere."""
    weights: tuple[float, ...] | None = None
    """What each value weighs in a mean, such as its tokens; None: all the same."""
    is_log: bool = False
    """Values are logarithms: a mean is shown as its exponential, and a gain is its relative change (0.05 is 5 % more)."""
    unknown: tuple[tuple[int, int], ...] | None = None
    """Of an encoder: for each question the tokens that it does not know, and all. A slice with too many is not measured."""
    missing: frozenset[int] = frozenset()
    """Which questions should have a value and have none, such as those that a judge gave no verdict on; of the others
    without a value the metric has nothing to say."""

    def part(self, start: int, end: int) -> "Scores":
        """Those of the questions from ``start`` to before ``end``."""
        return replace(
            self,
            values=self.values[start:end],
            weights=self.weights and self.weights[start:end],
            unknown=self.unknown and self.unknown[start:end],
            missing=frozenset(i - start for i in self.missing if start <= i < end),
        )


class Metric(Protocol):
    """Scores answers."""

    @property
    def name(self) -> str:
        """As in ``metrics.json`` and in rules."""

    @property
    def better(self) -> Better:
        """Which way is better."""

    def score(self, exchanges: Sequence[Exchange]) -> Scores:
        """One value a question. Must not depend on the order of the questions, nor on which model answered."""
