"""Matching of embeddings, by hand; tests/integration/test_relevance.py has real encoders."""

from collections.abc import Sequence

import numpy as np
import pytest

from serin.core.conversation import Conversation, Message
from serin.evaluate.metrics.metric import Exchange
from serin.evaluate.metrics.relevance import BertScore, greedy_f1
from serin.evaluate.scoring import Answered, Metrics
from serin.lm.encode import EncodedText
from serin.lm.generate import Answer


def text(*rows: tuple[float, float]) -> EncodedText:
    return EncodedText(np.array(rows, dtype=np.float32).reshape(-1, 2), unknown=0)


def test_each_token_goes_with_the_most_similar_one_of_the_other_text() -> None:
    answer, reference = text((1, 0), (0.6, 0.8)), text((1, 0), (0, 1), (0, 1))
    precision, recall = (1 + 0.8) / 2, (1 + 0.8 + 0.8) / 3
    assert greedy_f1(answer, reference) == pytest.approx(2 * precision * recall / (precision + recall))
    assert greedy_f1(reference, answer) == pytest.approx(greedy_f1(answer, reference))


def test_opposite_texts_score_nothing_and_so_do_empty_ones() -> None:
    assert greedy_f1(text((1, 0)), text((-1, 0))) == 0
    assert greedy_f1(text(), text((1, 0))) == 0
    assert greedy_f1(text((1, 0)), text()) == 0


def test_tokens_that_point_away_cannot_make_a_score_leave_its_range() -> None:
    answer, reference = text((0.77, -0.64)), text((-0.38, -0.92), (-1.0, 0.04), (-0.73, -0.68))
    assert greedy_f1(answer, reference) == 0  # means of 0.29 and -0.21, whose harmonic mean is -1.45


class Encoder:
    """One token a text, in a direction of its own; counts what it encodes."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        self.seen += texts
        angles = [sum(map(ord, text)) for text in texts]
        return [EncodedText(np.array([[np.cos(a), np.sin(a)]], dtype=np.float32), unknown=a % 2) for a in angles]


def test_what_all_models_are_compared_with_is_encoded_once_and_each_gets_its_own_scores() -> None:
    questions = [
        Conversation(
            (Message("user", "?"), Message("assistant", f"reference {i:02}")), {"id": str(i), "language": "en"}
        )
        for i in range(50)
    ]
    by_model = {
        model: Answered(questions, [Answer(f"{model} {i}", 3, True) for i in range(50)], [None] * 50)
        for model in ("candidate", "base", "production")
    }
    encoder = Encoder()
    together = Metrics({"test": [BertScore(encoder)]}).score_all("test", by_model)  # type: ignore[arg-type]  # a stand-in
    assert len(encoder.seen) == len(set(encoder.seen)) == 50 + 3 * 50
    for model, answered in by_model.items():
        alone = BertScore(Encoder()).score([Exchange(q, a) for q, a in zip(questions, answered.answers, strict=True)])  # type: ignore[arg-type]
        assert together[model]["bertscore"] == alone
