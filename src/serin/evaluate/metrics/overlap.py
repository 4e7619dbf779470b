"""Accuracy by overlap in order: chrF by sacrebleu, ROUGE by rouge-score."""

import sys
from collections.abc import Sequence
from functools import cache
from typing import ClassVar, Literal

from absl import logging as absl_logging
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.scoring import fmeasure
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
        language, reference = exchange.conversation.language, exchange.conversation.reference
        if self._kind == "rougeL":
            return _rouge_l(tokens(reference, language), tokens(exchange.answer.text, language))
        return float(_scorer(self._kind, language).score(reference, exchange.answer.text)[self._kind].fmeasure)


def _rouge_l(reference: Sequence[str], answer: Sequence[str]) -> float:
    """What rouge-score gives to the last bit; it fills a table of all pairs of tokens, which took longer than all else."""
    if not reference or not answer:
        return 0.0
    shared = _longest_shared(reference, answer)
    return float(fmeasure(shared / len(answer), shared / len(reference)))


def _longest_shared(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence, a column of the table at once as the bits of one number (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for i, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << i
    all_bits = (1 << len(one)) - 1
    column = all_bits
    for token in other:
        matches = column & places.get(token, 0)
        column = (column + matches | column - matches) & all_bits
    return len(one) - column.bit_count()


class _Tokens(Tokenizer):  # type: ignore[misc]  # rouge-score ships no types
    """Serin's tokens, in a language."""

    def __init__(self, language: str) -> None:
        self._language = language

    def tokenize(self, text: str) -> list[str]:
        return tokens(text, self._language)


@cache
def _scorer(kind: RougeType, language: str) -> RougeScorer:
    return RougeScorer([kind], tokenizer=_Tokens(language))
