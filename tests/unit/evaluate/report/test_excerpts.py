"""Texts cut short and marked, so that a reader sees what matters and a browser sees only text."""

import pytest

from serin.evaluate.report.excerpts import compared, excerpt, missed, with_codes


def test_an_excerpt_is_cut_and_escaped() -> None:
    assert excerpt("a <b> &") == "a &lt;b&gt; &amp;"
    assert excerpt("x" * 700) == "x" * 600 + '… <span class="length">700 characters</span>'
    assert excerpt("x" * 301, 300).endswith("301 characters</span>")
    assert excerpt("x" * 600) == "x" * 600


def test_runs_of_words_that_the_other_text_lacks_are_marked_once() -> None:
    answer, reference = "At most nine long years, says Article 5.", "At most six months, says Article 5."
    assert compared(answer, reference) == 'At most <mark class="extra">nine long years</mark>, says Article 5.'
    assert missed(reference, answer) == 'At most <mark class="missed">six months</mark>, says Article 5.'


def test_case_width_and_punctuation_are_no_difference() -> None:
    assert "<mark" not in compared("THE ＡＮＳＷＥＲ, then", "the answer: then!")


def test_chinese_is_compared_by_character() -> None:
    assert compared("最长六个月", "最长三个月") == '最长<mark class="extra">六</mark>个月'


@pytest.mark.parametrize("code", ["202E", "2066", "200B", "0000", "D800", "2028", "E000", "FEFF"])
def test_what_a_reader_would_not_see_is_written_as_its_code(code: str) -> None:
    text = f"a{chr(int(code, 16))}b\n\tc"
    assert excerpt(text) == f'a<span class="code">U+{code}</span>b\n\tc'
    assert with_codes(text) == f"aU+{code}b\n\tc"
    assert f"U+{code}" in compared(text, "other")


def test_joiners_that_shape_words_and_emoji_stay() -> None:
    for text in ("می\u200cخواهم", "👩\u200d⚖\ufe0f", "क्\u200dष"):
        assert excerpt(text) == text == with_codes(text)


def test_an_empty_text_is_nothing() -> None:
    assert excerpt("") == compared("", "a") == missed("", "a") == ""
