"""Texts of others within Markdown."""

import pytest

from serin.core.markdown import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b\n# c", r"a \| b \# c"),
        ("<script>&", "&lt;script&gt;&amp;"),
        (r"[x](y) `z` \*", r"\[x\](y) \`z\` \\\*"),
        ("劳动法 ~ 1_2", r"劳动法 \~ 1\_2"),
    ],
)
def test_nothing_in_a_text_is_taken_for_markup(text: str, shown: str) -> None:
    assert plain(text) == shown
