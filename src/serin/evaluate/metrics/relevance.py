"""Relevance: how alike answer and reference are to an encoder."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from serin.evaluate.metrics.metric import Better, Exchange, Scores
from serin.evaluate.metrics.single import has_reference
from serin.lm.encode import EncodedText, TokenEncoder

_PAIRS_AT_ONCE = 64
# Below this, what differs is the padding of the batch that a text happened to share.
_DIGITS = 5


class BertScore:
    """BERTScore's F1 (Zhang et al. 2020, arXiv 1904.09675), in [0, 1]; None without a reference.

    Each token goes with the most similar one of the other text, by cosine. No idf and no rescaling to a baseline, so figures
    of two encoders are not comparable. The tokens that frame every text neither count nor match; the package bert-score
    0.3.13 lets them match, which moved no figure of a try by more than 0.01. An empty answer scores 0.
    Figures of a language that the encoder does not know mean nothing, so ``unknown`` comes with them.
    """

    name: Final = "bertscore"
    better: Final[Better] = "higher"

    def __init__(self, encoder: TokenEncoder) -> None:
        self._encoder = encoder

    def score(self, exchanges: Sequence[Exchange]) -> Scores:
        """One value a question, and the unknown tokens of its answer and reference together.

        Answers of several models may stand one after the other: what they are compared with is encoded once.
        """
        values: list[float | None] = [None] * len(exchanges)
        unknown = [(0, 0)] * len(exchanges)
        texts = [(e.answer.text.strip(), e.conversation.reference.strip()) for e in exchanges]
        asked = [i for i, exchange in enumerate(exchanges) if has_reference(exchange)]
        # Those with one reference stand together: whoever answered, it is encoded once.
        asked.sort(key=lambda i: (len(texts[i][1]), texts[i][1], len(texts[i][0]), texts[i][0]))
        encoded: dict[str, EncodedText] = {}
        for start in range(0, len(asked), _PAIRS_AT_ONCE):
            rows = asked[start : start + _PAIRS_AT_ONCE]
            wanted = {text for i in rows for text in texts[i]}
            encoded = {text: encoded[text] for text in wanted if text in encoded}
            new = sorted(wanted - encoded.keys())
            encoded.update(zip(new, self._encoder.encode(new), strict=True))
            for i in rows:
                answer, reference = (encoded[text] for text in texts[i])
                values[i] = round(greedy_f1(answer, reference), _DIGITS)
                unknown[i] = (
                    answer.unknown + reference.unknown,
                    len(answer.embeddings) + len(reference.embeddings),
                )
        return Scores(tuple(values), unknown=tuple(unknown))


def greedy_f1(answer: EncodedText, reference: EncodedText) -> float:
    """Harmonic mean of the answer's and the reference's mean highest cosine, each at least 0; 0 where either has no tokens."""
    if not len(answer.embeddings) or not len(reference.embeddings):
        return 0.0
    similarity = answer.embeddings @ reference.embeddings.T
    precision, recall = (max(0.0, float(np.mean(similarity.max(axis=axis)))) for axis in (1, 0))
    return min(1.0, 2 * precision * recall / (precision + recall)) if precision + recall else 0.0
