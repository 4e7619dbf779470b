"""Word lists find words, and nothing within words."""

import pytest

from serin.core.words import WordLists


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("acme", True),
        ("We, ACME, promise", True),
        ("acme's", True),
        ("acme-like", True),
        ("我用acme的产品", True),
        ("acmes", False),
        ("pacme", False),
        ("acme2", False),
        ("on the Big  Deal", False),
        ("on the Big Deal.", True),
        ("c# is a language", True),
        ("秘密计划书", True),
        ("機密ファイルです", True),
        ("Überflieger", True),
        ("überfliegerin", False),
        ("comment", False),
        ("", False),
    ],
)
def test_words_count_where_they_stand_by_themselves(text: str, is_found: bool) -> None:
    lists = WordLists({"own": ["Acme", "big  deal", "C#", "秘密计划", "ファイル", "überflieger"]})
    assert lists.find(text) == ({"own"} if is_found else set())


def test_a_word_within_another_one_does_not_hide_it() -> None:
    assert WordLists({"own": ["big", "bigger", "bigger deal"]}).find("a bigger dealer") == {"own"}
    assert WordLists({"own": ["big", "big deal"]}).find("big deals") == {"own"}


def test_a_word_may_stand_in_several_lists() -> None:
    lists = WordLists({"b": ["shared", "wordb"], "a": ["Shared"]})
    assert lists.find("shared") == {"a", "b"}
    assert lists.find("wordb") == {"b"}
    assert lists.names == ["a", "b"]
    assert WordLists({}).find("shared") == set()
