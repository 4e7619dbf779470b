"""Bars, ticks and marks of the plot of lengths stand where their values are."""

import pytest

from serin.prepare.report.histogram import Histogram, lay_out

QUANTILES = {"0.5": 48, "0.95": 72}


def drawn(edges: list[int], counts: list[int], limit: int | None = None) -> Histogram:
    found = lay_out({"edges": edges, "counts": counts}, QUANTILES, limit)
    assert found is not None
    return found


def test_bars_are_in_proportion_and_say_what_they_hold() -> None:
    plot = drawn([0, 32, 64, 96, 128], [5, 1000, 500, 0])
    assert [bar.x for bar in plot.bars] == [0, 25, 50, 75]
    assert [bar.height for bar in plot.bars] == [0.5, 100, 50, 0]
    assert plot.bars[1].says == "32 to 64 tokens: 1,000"
    assert plot.lines == ((0, "0"), (20, "200"), (40, "400"), (60, "600"), (80, "800"), (100, "1,000"))


@pytest.mark.parametrize(("value", "at"), [(0, 0.0), (48, 37.5), (64, 50.0), (128, 100.0)])
def test_a_limit_stands_at_its_value(value: int, at: float) -> None:
    (mark,) = [mark for mark in drawn([0, 32, 64, 96, 128], [1, 2, 3, 4], value).marks if mark.is_limit]
    assert (mark.x, mark.label) == (at, f"max_tokens {value}")


def test_bins_of_unequal_width_keep_values_in_their_bin() -> None:
    plot = drawn([0, 10, 100, 1000], [1, 1, 1], limit=550)
    assert [round(mark.x, 1) for mark in plot.marks] == [47.4, 56.3, 83.3]
    assert [label for _, label in plot.ticks] == ["0", "10", "100", "1,000"]


def test_a_limit_beyond_the_plot_and_quantiles_that_are_not_known_are_not_marked() -> None:
    found = lay_out({"edges": [0, 16], "counts": [3]}, {}, 4096)
    assert found is not None
    assert found.marks == ()


def test_many_bins_have_few_ticks() -> None:
    plot = drawn(list(range(0, 2049, 8)), [1] * 256)
    assert 5 <= len(plot.ticks) <= 9
    assert plot.ticks[1][1] == "256"


@pytest.mark.parametrize("histogram", [{}, {"edges": [], "counts": []}, {"edges": [0, 16], "counts": [0]}])
def test_nothing_measured_draws_nothing(histogram: dict[str, list[int]]) -> None:
    assert lay_out(histogram, {}, 256) is None
