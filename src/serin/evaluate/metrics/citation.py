"""Accuracy by what an answer cites."""

import re
from typing import ClassVar

from serin.core.errors import ConfigError
from serin.core.grading import cited_article
from serin.evaluate.metrics.metric import Better, Exchange
from serin.evaluate.metrics.single import SingleMetric


class RightArticle(SingleMetric):
    """1 where the first article that the answer cites is the reference's first, else 0; None where the reference cites none."""

    name: ClassVar[str] = "right_article"
    better: ClassVar[Better] = "higher"

    def __init__(self, pattern: str) -> None:
        """``pattern`` is ``evaluate.article_pattern``. Raises ConfigError where it is none, or has no group for the number."""
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ConfigError(
                f"evaluate.article_pattern = {pattern!r} is no regular expression ({error}): mend it"
            ) from error
        if not groups:
            raise ConfigError(
                f"evaluate.article_pattern = {pattern!r} has no group: put the article's number in brackets, such as (\\d+)"
            )
        self._pattern = pattern

    def value(self, exchange: Exchange) -> float | None:
        """0 or 1."""
        wanted = cited_article(exchange.conversation.reference, self._pattern)
        if wanted is None:
            return None
        return float(cited_article(exchange.answer.text, self._pattern) == wanted)
