"""Shares and numbers as people read them, and names in an order that does not depend on how they came."""

from typing import get_args

import pytest

from serin.core.params.preparation import Reason
from serin.prepare import decide
from serin.prepare.report.wording import REASONS, by_count, in_order, number, share, words_of


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (1, 8, "12.5 %"),
        (0, 8, "0.0 %"),
        (8, 8, "100.0 %"),
        (1, 1_000_000, "< 0.1 %"),
        (999_999, 1_000_000, "> 99.9 %"),
        (0, 0, "–"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_to_all(part: int, whole: int, shown: str) -> None:
    assert share(part, whole).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_numbers_have_commas() -> None:
    assert [number(1_234_567), number(12), number(1234.5)] == ["1,234,567", "12", "1,234.5"]


def test_counts_stand_by_size_and_names_by_table() -> None:
    assert by_count({"b": 1, "a": 1, "c": 9}) == [("c", 9), ("a", 1), ("b", 1)]
    assert in_order(REASONS, {"zz": 1, "too_long": 2, "aa": 3, "not_json": 4}) == [
        ("not_json", 4),
        ("too_long", 2),
        ("aa", 3),
        ("zz", 1),
    ]


def test_an_unknown_name_is_shown_as_it_is() -> None:
    assert words_of(REASONS, "brand_new").name == "brand new"


def test_every_reason_that_params_may_limit_has_its_words_and_no_other() -> None:
    assert set(REASONS) == set(get_args(Reason))
    assert set(decide.REASONS[1:]) < set(REASONS)
