"""Word lists: which of them have a word in a text."""

import re
from collections.abc import Mapping, Sequence

# Scripts that put no spaces between words, or particles right behind them: kana, Han (also beyond the basic plane), Hangul.
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_NOTHING: frozenset[str] = frozenset()


class WordLists:
    """Word lists as one automaton (Aho and Corasick, 1975), so that a text is read once, however many words there are."""

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        """``lists`` holds the words by the list's name; upper and lower case are one."""
        from ahocorasick_rs import AhoCorasick

        named: dict[str, set[str]] = {}
        for name, words in lists.items():
            for word in words:
                named.setdefault(" ".join(word.lower().split()), set()).add(name)
        self._words = list(named)
        self._lists = [frozenset(names) for names in named.values()]
        self._automaton = AhoCorasick(self._words, store_patterns=False)

    @property
    def names(self) -> list[str]:
        """The names of all lists."""
        return sorted(_NOTHING.union(*self._lists))

    def find(self, text: str) -> frozenset[str]:
        """The names of the lists of which a word stands in the text.

        Words count where they stand by themselves: "grass" holds no "ass". In scripts that put no spaces between words they
        count anywhere.
        """
        text = text.lower()
        matches = self._automaton.find_matches_as_indexes(text, overlapping=True)
        if not matches:
            return _NOTHING
        found = (self._lists[word] for word, begin, end in matches if _stands_alone(text, begin, end))
        return _NOTHING.union(*found)


def _stands_alone(text: str, begin: int, end: int) -> bool:
    return not (begin and _go_on(text[begin - 1], text[begin])) and not (
        end < len(text) and _go_on(text[end - 1], text[end])
    )


def _go_on(one: str, other: str) -> bool:
    """Whether two neighbours are of one word."""
    return one.isalnum() and other.isalnum() and not _WITHOUT_SPACES.match(one) and not _WITHOUT_SPACES.match(other)
