"""Accuracy by overlap in order: chrF by sacrebleu, ROUGE by rouge-score."""

import sys
from functools import cache
from typing import ClassVar, Literal

from absl import logging as absl_logging
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics.chrf import CHRF

from serin.core.grading import tokens
from serin.evaluate.metrics.metric import Better, Exchange
from serin.evaluate.metrics.single import SingleMetric, has_reference

# rouge-score brings absl, whose handler takes what is stderr at that moment for its own, and closes it when another library sets
# logging up anew. Where stderr is captured, as under pytest, that would end the process; the real one it leaves alone.
absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__

RougeType = Literal["rouge1", "rouge2", "rougeL"]


class ChrF(SingleMetric):
    """chrF2 of each answer as sacrebleu computes it, divided by 100: in [0, 1]; None without a reference.

    F-score of character 1- to 6-grams without spaces, recall weighing twice (Popović 2015, W15-3049). It needs no tokenizer and
    so suits every script. Case and width count.
    """

    name: ClassVar[str] = "chrf"
    better: ClassVar[Better] = "higher"

    def __init__(self) -> None:
        self._chrf = CHRF()

    def value(self, exchange: Exchange) -> float | None:
        """In [0, 1]."""
        if not has_reference(exchange):
            return None
        found = self._chrf.sentence_score(exchange.answer.text, [exchange.conversation.reference])
        return min(1.0, float(found.score) / 100)


class Rouge(SingleMetric):
    """F-measure of ROUGE (Lin 2004, W04-1013) as rouge-score computes it, in [0, 1]; None without a reference.

    Tokens are those of ``token_f1``: rouge-score's own drop every letter that is not ASCII, so that Chinese always scores 0.
    Characters for Chinese follow LCSTS (Hu et al. 2015, arXiv 1506.05865). Nothing is stemmed.
    """

    better: ClassVar[Better] = "higher"

    def __init__(self, kind: RougeType) -> None:
        self._kind = kind

    @property
    def name(self) -> str:  # type: ignore[override]  # of the instance: one class is three metrics
        """``rouge_1``, ``rouge_2`` or ``rouge_l``."""
        return f"rouge_{self._kind.removeprefix('rouge').lower()}"

    def value(self, exchange: Exchange) -> float | None:
        """In [0, 1]."""
        if not has_reference(exchange):
            return None
        conversation = exchange.conversation
        scorer = _scorer(self._kind, conversation.language)
        return float(scorer.score(conversation.reference, exchange.answer.text)[self._kind].fmeasure)


class _Tokens(Tokenizer):  # type: ignore[misc]  # rouge-score ships no types
    """Serin's tokens, in a language."""

    def __init__(self, language: str) -> None:
        self._language = language

    def tokenize(self, text: str) -> list[str]:
        return tokens(text, self._language)


@cache
def _scorer(kind: RougeType, language: str) -> RougeScorer:
    return RougeScorer([kind], tokenizer=_Tokens(language))
