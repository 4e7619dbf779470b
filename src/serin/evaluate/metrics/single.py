"""What the metrics share that look at each exchange by itself."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from serin.core.grading import exact_form
from serin.evaluate.metrics.metric import Better, Exchange, Scores


class SingleMetric(ABC):
    """A value for each exchange, whatever the others are."""

    name: ClassVar[str]
    better: ClassVar[Better]

    @abstractmethod
    def value(self, exchange: Exchange) -> float | None:
        """None where nothing can be said about this exchange."""

    def score(self, exchanges: Sequence[Exchange]) -> Scores:
        """One value a question."""
        return Scores(tuple(self.value(exchange) for exchange in exchanges))


def has_reference(exchange: Exchange) -> bool:
    """Whether there is something to compare with: a reference that calls a tool, or is all punctuation, says nothing."""
    conversation = exchange.conversation
    return bool(exact_form(conversation.reference, conversation.language))
