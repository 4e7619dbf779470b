import numpy as np
import pytest

from serin.evaluate.comparison import paired_gain
from serin.evaluate.gate import judge

LIMITS = {"token_f1": 0.0}


def test_the_interval_covers_the_true_gain_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        base = generator.random(60)
        tuned = base + 0.2 + generator.normal(0, 0.3, 60)
        gain = paired_gain("f1", "all", list(base), list(tuned), 0.95, 400, 1)
        covered += gain.ci_low <= 0.2 <= gain.ci_high
    assert covered >= 180


def test_phrasings_of_one_fact_do_not_count_as_independent() -> None:
    groups = [str(i // 6) for i in range(60)]
    base, tuned = [0.0] * 60, [float(int(g) % 2) for g in groups]
    alone = paired_gain("f1", "all", base, tuned, 0.95, 2000, 1)
    grouped = paired_gain("f1", "all", base, tuned, 0.95, 2000, 1, groups)
    assert grouped.ci_high - grouped.ci_low > 1.8 * (alone.ci_high - alone.ci_low)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the same number"):
        paired_gain("f1", "all", [], [], 0.95, 200, 1)


def test_the_gate_asks_every_language() -> None:
    good = paired_gain("token_f1", "en", [0.1] * 20, [0.9] * 20, 0.95, 200, 1)
    bad = paired_gain("token_f1", "zh", [0.5] * 20, [0.4] * 20, 0.95, 200, 1)
    assert judge("d", [good], LIMITS).passed
    verdict = judge("d", [good, bad], LIMITS)
    assert not verdict.passed
    assert "zh" in verdict.missed[0]


def test_an_answer_in_the_right_words_with_the_wrong_article_does_not_pass() -> None:
    words = paired_gain("token_f1", "en", [0.1] * 20, [0.6] * 20, 0.95, 200, 1)
    articles = paired_gain("right_article", "en", [0.0] * 20, [0.0] * 18 + [1.0] * 2, 0.95, 200, 1)
    assert judge("d", [words, articles], LIMITS).passed
    verdict = judge("d", [words, articles], {**LIMITS, "right_article": 0.5})
    assert [rule.passed for rule in verdict.rules] == [True, False]
    assert verdict.missed[0].startswith("right_article gain in en")


def test_no_figures_is_no_pass() -> None:
    assert not judge("d", [], LIMITS).passed
