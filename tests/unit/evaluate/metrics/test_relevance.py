"""Matching of embeddings, by hand; tests/integration/test_relevance.py has real encoders."""

import numpy as np
import pytest

from serin.evaluate.metrics.relevance import greedy_f1
from serin.lm.encode import EncodedText


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
