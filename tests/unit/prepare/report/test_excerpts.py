"""Texts cut short and marked, so that a reader sees what matters and a browser sees only text."""

from serin.prepare.report.excerpts import change, excerpt, likeness


def test_an_excerpt_is_cut_escaped_and_marks_placeholders() -> None:
    assert excerpt("a <b> [EMAIL] [OTHER]") == 'a &lt;b&gt; <mark class="placeholder">[EMAIL]</mark> [OTHER]'
    assert excerpt("x" * 700) == "x" * 600 + '… <span class="length">700 characters</span>'
    assert excerpt("x" * 600) == "x" * 600


def test_likeness_marks_words_and_chinese_characters_that_differ() -> None:
    assert likeness("How may I pay?", "How can I pay?") == 'How <mark class="differs">may</mark> I pay?'
    assert likeness("试用期最长多久", "试用期多久") == '试用期<mark class="differs">最长</mark>多久'
    assert likeness("the same <b>", "the same <b>") == "the same &lt;b&gt;"


def test_a_change_far_into_a_text_is_shown_where_it_is() -> None:
    before, after = change("a" * 5000 + "\u200b end", "a" * 5000 + " end")
    assert before == "…" + "a" * 60 + '<mark class="change"><span class="code">U+200B</span></mark> end'
    assert after == "…" + "a" * 60 + " end"


def test_spaces_are_made_visible_where_they_changed_and_only_there() -> None:
    before, after = change("a b  c\n\n\nd", "a b c\n\nd")
    assert before.count("·") == 1
    assert before.count("⏎") == 1
    assert "·" not in after


def test_what_was_cut_off_ends_in_an_ellipsis() -> None:
    before, after = change("x" * 1000, "x" * 100)
    assert before.endswith("</mark>…")
    assert after == "…" + "x" * 60
