"""Figures as people write them: signs, sensible digits, percent where a share, and names for what files call by keys."""

import math

import pytest

from serin.evaluate.report.wording import Scale, p_value, percent, revision_name, scale_of, share, slice_name

NARROW = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("scale", "value", "mean", "gain", "size"),
    [
        (Scale("score", 3), 0.12345, "0.123", "+0.123", "0.123"),
        (Scale("score", 3), -0.5, "−0.500", "−0.500", "0.500"),
        (Scale("score", 3), -0.0001, "0.000", "0.000", "0.000"),
        (Scale("share", 3), 0.0321, "3.2 %", "+3.2 points", "3.2 points"),
        (Scale("change", 2), 0.0321, "0.03", "+3.2 %", "3.2 points"),
        (Scale("count", 1), 1234.56, "1,234.6", "+1,234.6", "1,234.6"),
        (Scale("change", 2), math.inf, "∞", "+∞ %", "∞ points"),
        (Scale("score", 3), math.nan, "–", "–", "–"),
        (Scale("score", 3), None, "–", "–", "–"),
    ],
)
def test_a_figure_is_written_in_its_unit(scale: Scale, value: float | None, mean: str, gain: str, size: str) -> None:
    written = [scale.mean(value), scale.gain(value, unit=True), scale.size(value)]
    assert [text.replace(NARROW, " ") for text in written] == [mean, gain, size]


@pytest.mark.parametrize(
    ("means", "decimals"), [([0.2, 0.9], 3), ([2.5], 2), ([55.0, 0.1], 1), ([math.inf, 0.5], 3), ([], 3)]
)
def test_the_larger_a_metric_the_fewer_its_decimals(means: list[float], decimals: int) -> None:
    assert scale_of("chrf", means) == Scale("score", decimals)


def test_a_metric_that_nobody_described_is_a_score() -> None:
    assert scale_of("my_metric", [0.5]).unit == "score"
    assert scale_of("refused", [0.5]).unit == "share"


@pytest.mark.parametrize(("p", "text"), [(0.00025, "< 0.001"), (0.0012, "0.001"), (0.0496, "0.050"), (1.0, "1.000")])
def test_a_p_value_is_never_rounded_to_nothing(p: float, text: str) -> None:
    assert p_value(p).replace(NARROW, " ") == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "–"), (1, 3, "33.3 %"), (1, 9999, "< 0.1 %"), (9998, 9999, "> 99.9 %"), (4, 4, "100.0 %")],
)
def test_a_share_is_never_rounded_to_none_or_to_all(part: int, whole: int, text: str) -> None:
    assert share(part, whole).replace(NARROW, " ").replace("<0", "< 0").replace(">9", "> 9") == text


@pytest.mark.parametrize(("level", "text"), [(0.95, "95 %"), (0.999, "99.9 %"), (1 - 0.9, "10 %")])
def test_a_level_is_written_without_the_noise_of_floats(level: float, text: str) -> None:
    assert percent(level).replace(NARROW, " ") == text


def test_a_revision_is_told_with_a_short_digest_and_a_folder_as_it_is() -> None:
    assert revision_name("law-qa@" + "0123456789abcdef" * 4) == "law-qa@0123456789ab"
    for name in ("models/me@work/law", "law-qa@abc", "artifacts/merged"):
        assert revision_name(name) == name


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("all", "all questions"),
        ("language=zh", "Chinese"),
        ("language=xx", "xx"),
        ("topic=notice = periods", "topic notice = periods"),
        ("expect=answer", "harmless look-alikes"),
        ("length=long", "long questions"),
    ],
)
def test_a_slice_has_a_name(part: str, name: str) -> None:
    assert slice_name(part) == name
