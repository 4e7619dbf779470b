"""Shingles, signatures and bands are what the theory says they are."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serin.prepare.record.minhash import MinHasher, bands_for, estimated_similarity
from serin.prepare.record.shingles import normalised, numbers_in, shingle_chars, shingles, similarity

WORDS = ["notice", "wages", "month", "employer", "contract", "overtime", "holiday", "sick", "annual", "bonus", "union"]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("How long — may it LAST?!", "how long may it last"),
        ("试用期，最长 多久？", "试用期 最长 多久"),
        ("ＷＩＤＥ １２", "wide 12"),
        ("C++ or C#, 5 % of A_B", "c++ or c# 5 % of a b"),
        ("हिन्दी में", "हिन्दी में"),
        ("?!", "?!"),
        ("is -5 + 3 in 2024-01-15", "is \u22125 + 3 in 2024 01 15"),
    ],
)
def test_the_normal_form_drops_what_tells_nothing_apart(text: str, form: str) -> None:
    assert normalised(text) == form


@given(st.text())
def test_the_normal_form_of_a_normal_form_is_itself(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


def test_shingles_have_two_characters_where_words_have_no_spaces_and_four_elsewhere() -> None:
    assert shingles("试用期") == {"试用", "用期"}
    assert shingles("abcde") == {"abcd", "bcde"}
    assert shingles("ab") == {"ab"}
    assert shingle_chars("see 试用 in this long english text") == 4
    assert similarity(shingles("abcde"), shingles("abcdx")) == pytest.approx(1 / 3)


def test_numbers_are_told_apart_in_digits_and_in_chinese() -> None:
    assert numbers_in("after 10 days or 3") == ("10", "3")
    assert numbers_in("满三年") != numbers_in("满五年")
    assert numbers_in(normalised("0.5 mg")) != numbers_in(normalised("5.0 mg"))
    assert numbers_in("question 7 how long") == numbers_in("how long") == ()
    assert numbers_in("7 days notice") == ("7",)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("permutations", [64, 128, 256])
def test_a_pair_at_the_threshold_meets_in_some_band(threshold: float, permutations: int) -> None:
    bands, rows = bands_for(threshold, permutations)
    assert bands * rows <= permutations
    assert 1 - (1 - threshold**rows) ** bands >= 0.98


def test_estimates_are_unbiased_with_the_spread_that_the_theory_gives() -> None:
    draw = random.Random(3)
    ones, others = [], []
    for _ in range(400):
        words = draw.choices(WORDS, k=draw.randrange(6, 40))
        ones.append(" ".join(words))
        changed = [draw.choice(WORDS) if draw.random() < 0.2 else word for word in words]
        others.append(" ".join(changed))
    hasher = MinHasher(0.8, 128)
    one, other = hasher.sketch(ones), hasher.sketch(others)
    true = np.array([similarity(shingles(a), shingles(b)) for a, b in zip(ones, others, strict=True)])
    error = estimated_similarity(one.bytes_, other.bytes_) - true
    assert abs(error.mean()) < 0.01
    assert error.std() < 1.2 * np.sqrt((true * (1 - true) / 128).mean())
    meet = (one.bands == other.bands).any(axis=1)
    assert meet[true >= 0.85].mean() >= 0.98
    assert meet[true < 0.3].mean() < 0.05


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6))
def test_a_sketch_depends_on_its_text_alone(texts: list[str]) -> None:
    hasher = MinHasher(0.8, 32)
    together = hasher.sketch(texts)
    for i, text in enumerate(texts):
        alone = hasher.sketch([text])
        assert (alone.bands[0] == together.bands[i]).all()
        assert (alone.bytes_[0] == together.bytes_[i]).all()


def test_sketches_are_the_same_on_any_day() -> None:
    sketch = MinHasher(0.8, 128).sketch(["how long may a probation period last"])
    assert sketch.bytes_[0, :4].tolist() == [171, 187, 249, 67]
    assert sketch.bands.shape == (1, 21)
