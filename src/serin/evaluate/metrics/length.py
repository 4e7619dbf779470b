"""How long answers are, and whether they end: judges and people prefer long answers, so their gains are read beside these."""

from typing import ClassVar

from serin.evaluate.metrics.metric import Better, Exchange
from serin.evaluate.metrics.single import SingleMetric


class AnswerTokens(SingleMetric):
    """Tokens of the answer by the model's own tokenizer, 0 or more. Models with different tokenizers are not comparable by it."""

    name: ClassVar[str] = "answer_tokens"
    better: ClassVar[Better] = "neither"

    def value(self, exchange: Exchange) -> float:
        """A count."""
        return float(exchange.answer.tokens)


class AnswerCharacters(SingleMetric):
    """Characters of the answer (Unicode code points), 0 or more."""

    name: ClassVar[str] = "answer_characters"
    better: ClassVar[Better] = "neither"

    def value(self, exchange: Exchange) -> float:
        """A count."""
        return float(len(exchange.answer.text))


class LengthRatio(SingleMetric):
    """Characters of the answer for each of the reference: 1 is as long, 2 twice; None without a reference."""

    name: ClassVar[str] = "length_ratio"
    better: ClassVar[Better] = "neither"

    def value(self, exchange: Exchange) -> float | None:
        """0 or more."""
        wanted = len(exchange.conversation.reference.strip())
        return len(exchange.answer.text.strip()) / wanted if wanted else None


class Stopped(SingleMetric):
    """1 where the model ended its turn by itself, 0 where ``max_new_tokens`` cut it short; the mean is the stop rate."""

    name: ClassVar[str] = "stopped"
    better: ClassVar[Better] = "higher"

    def value(self, exchange: Exchange) -> float:
        """0 or 1."""
        return float(exchange.answer.stopped)
