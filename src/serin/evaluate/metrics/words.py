"""Accuracy by words: are they the reference's, all of them or how many."""

from typing import ClassVar

from serin.core.grading import exact_match, token_f1
from serin.evaluate.metrics.metric import Better, Exchange
from serin.evaluate.metrics.single import SingleMetric, has_reference


class ExactMatch(SingleMetric):
    """1 where answer and reference are the same but for case, width, punctuation and spaces, else 0; None without a reference.

    SQuAD's exact match (Rajpurkar et al. 2016, arXiv 1606.05250), except that a, an and the count and numbers keep their
    signs and decimals.
    """

    name: ClassVar[str] = "exact_match"
    better: ClassVar[Better] = "higher"

    def value(self, exchange: Exchange) -> float | None:
        """0 or 1."""
        if not has_reference(exchange):
            return None
        conversation = exchange.conversation
        return float(exact_match(exchange.answer.text, conversation.reference, conversation.language))


class TokenF1(SingleMetric):
    """Harmonic mean of token precision and recall, in [0, 1]; None without a reference.

    Rajpurkar et al. 2016 (arXiv 1606.05250); tokens are words, and characters in languages without spaces, as in CMRC
    (Cui et al. 2019, arXiv 1810.07366).
    """

    name: ClassVar[str] = "token_f1"
    better: ClassVar[Better] = "higher"

    def value(self, exchange: Exchange) -> float | None:
        """In [0, 1]."""
        if not has_reference(exchange):
            return None
        conversation = exchange.conversation
        return token_f1(exchange.answer.text, conversation.reference, conversation.language)
