"""Text is mended where it is broken, left alone where it is not, and cleaned text stays as it is."""

import ftfy
import pytest
from ftfy.badness import MOJIBAKE_CATEGORIES, is_bad
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serin.core import cleaning
from serin.core.cleaning import clean_text

_TROUBLE = "".join(chr(c) for c in [*range(0x80, 0x180), 0x200B, 0x200D, 0x2028, 0xFEFF, 0xA0, 0x301, 0xFFFD])
texts = st.text(
    st.sampled_from("ab .,\t\n\r<>&;/p`=\"'试用期。，“”…—€éâ™œŸ") | st.sampled_from(_TROUBLE) | st.characters(),
    max_size=60,
)


@pytest.mark.parametrize(
    ("given_", "expected", "mended"),
    [
        ("cafÃ© â€” itâ€™s", "café — it’s", {"encoding"}),
        ("è¯•ç”¨æœŸ", "试用期", {"encoding"}),
        ("e\u0301te\u0301", "été", {"normalisation"}),
        ("a\u200bb\ufeffc\x00d\u202ee", "abcde", {"invisible"}),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour", {"white_space"}),
        ("a\u00a0 b\tc  d \n\n\n\ne ", "a b c d\n\ne", {"white_space"}),
        ("<p>Hi&nbsp;there,<br/>you &amp; me</p>", "Hi there,\nyou & me", {"markup", "white_space"}),
        ("<p>Am Tag davor</p>", "Am Tag davor", {"markup", "white_space"}),
        ("minu\u200dtes and 试\u200c用", "minutes and 试用", {"invisible"}),
        ('<div class="x"><b>Bold</b> move</div>', "Bold move", {"markup", "white_space"}),
    ],
)
def test_what_is_broken_is_mended_and_named(given_: str, expected: str, mended: set[str]) -> None:
    assert clean_text(given_) == (expected, mended)


@pytest.mark.parametrize(
    "text",
    [
        "It’s “fine” — naïve résumé, 100 °C, £5, Ærø.",
        "试用期最长不得超过六个月。（第十九条）",
        "ｗｉｄｅ １２３",
        "if a < b and c > d: x &= 1",
        "if a<b and b>69 then",
        "A List<U> of Map<K, List<V>>",
        "What does the <br> tag do in HTML?",
        "Use `<p>text</p>` for a paragraph.",
        "```\ndef f():\n    return  1\n\n\n\nx = 2\n```",
        "- one\n  - two\n    - three",
        "👩‍💻 می‌خواهم",
        "Ærlig talt: €5 ‘quoted’ … so",
    ],
)
def test_what_is_whole_is_left_alone(text: str) -> None:
    assert clean_text(text) == (text, frozenset())


def test_markup_is_kept_where_params_say_so() -> None:
    assert clean_text("<p>Hi</p>", "keep") == ("<p>Hi</p>", frozenset())


@given(texts)
@settings(max_examples=600)
@example("&amp;nbsp;x")
@example("<<p>br>")
@example("a\u200b\u0301")
def test_cleaning_again_changes_nothing(text: str) -> None:
    once, _ = clean_text(text)
    assert clean_text(once) == (once, frozenset())


@given(
    st.text(
        st.sampled_from("ab .ÂÃ°œ" + "".join(c for c in "".join(MOJIBAKE_CATEGORIES.values()) if c != "-")), max_size=8
    )
)
@settings(max_examples=2000)
def test_the_screen_before_ftfy_lets_everything_through_that_ftfy_would_mend(text: str) -> None:
    if not cleaning._MAYBE_MOJIBAKE.search(text):
        assert not is_bad(text)
        assert ftfy.fix_encoding(text, cleaning._REPAIR) == text


@given(st.text(st.characters(max_codepoint=127), max_size=40))
@settings(max_examples=1000)
def test_the_screen_for_clean_english_is_exact(text: str) -> None:
    if cleaning._is_clean(text):
        for _, mend in cleaning._STEPS:
            assert mend(text) == text
