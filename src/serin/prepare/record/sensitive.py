"""Words that a domain does not want: found by lists, and confirmed by a model where asked to."""

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from serin.clients.endpoint import Endpoint, Request
from serin.core.conversation import Conversation
from serin.core.errors import ConfigError
from serin.core.params import SensitiveWordParams

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMENT = re.compile(r"(?:^|\s)#.*")
# Scripts that put no spaces between words, or particles right behind them: kana, Han (also beyond the basic plane), Hangul.
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_NOTHING: frozenset[str] = frozenset()

_PROMPT = """\
A word list has found something in the text below, which is meant for training the language model of a business. Lists know \
no context. Is the text truly objectionable: does it offer, advertise or encourage sexual content, gambling, drugs, weapons, \
fraud or self-harm, or insult people for what they are? A text that reports on such things, warns of them, or answers a \
question of law, safety or health about them is not objectionable.
Reply with one word: yes or no.

Text:
{text}"""
_TOKENS = 16
_PIECE_CHARS = 6000
_OVERLAP_CHARS = 200
_NO = re.compile(r"\W*(?:no\b|否|不是)", re.IGNORECASE)


class WordLists:
    """Word lists as one automaton (Aho and Corasick, 1975), so that a text is read once, however many words there are."""

    def __init__(self, lists: "Mapping[str, Sequence[str]]") -> None:
        """``lists`` holds the words by the list's name; upper and lower case are one."""
        from ahocorasick_rs import AhoCorasick

        named: dict[str, set[str]] = {}
        for name, words in lists.items():
            for word in words:
                named.setdefault(" ".join(word.lower().split()), set()).add(name)
        self._words = list(named)
        self._lists = [frozenset(names) for names in named.values()]
        self._automaton = AhoCorasick(self._words, store_patterns=False)

    @classmethod
    def load(cls, params: SensitiveWordParams) -> "WordLists":
        """The lists that come with Serin, by their code, and files, by their names (with folders where two are the same).

        Raises:
            ConfigError: a file that is missing, not UTF-8 or without a word.
        """
        if params.action == "ignore":
            return cls({})
        shipped = files("serin.prepare.record") / "words"
        lists: dict[str, list[str]] = {
            code: _words_in((shipped / f"{code}.txt").read_text(encoding="utf-8")) for code in params.lists
        }
        names: list[str] = [*params.lists, *(Path(file).name for file in params.files)]
        for file in params.files:
            path = Path(file)
            name = path.name if names.count(path.name) == 1 else path.as_posix().lstrip("/")
            lists.setdefault(name, []).extend(_words_of_file(path))
        return cls(lists)

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


def confirm(endpoint: Endpoint, conversations: Sequence[Conversation]) -> list[bool]:
    """Whether a model too finds each conversation objectionable; what it does not deny counts as found.

    Long conversations are shown in pieces, of which one suffices.

    Raises:
        ConfigError: the endpoint refuses.
    """
    asked = [requests_to_confirm(conversation) for conversation in conversations]
    answers = iter(endpoint.ask([request for requests in asked for request in requests]))
    denied = [[_denies(next(answers)) for _ in requests] for requests in asked]
    return [not all(of_pieces) for of_pieces in denied]


def requests_to_confirm(conversation: Conversation) -> list[Request]:
    """What ``confirm`` asks about a conversation, one request a piece; also for ``Endpoint.plan``."""
    text = conversation.whole_text
    starts = range(0, max(1, len(text) - _OVERLAP_CHARS), _PIECE_CHARS - _OVERLAP_CHARS)
    return [
        Request(
            messages=({"role": "user", "content": _PROMPT.format(text=text[start : start + _PIECE_CHARS])},),
            temperature=0.0,
            seed=0,
            max_tokens=_TOKENS,
        )
        for start in starts
    ]


def _denies(answer: str | None) -> bool:
    return answer is not None and _NO.match(answer) is not None


def _stands_alone(text: str, begin: int, end: int) -> bool:
    return not (begin and _go_on(text[begin - 1], text[begin])) and not (
        end < len(text) and _go_on(text[end - 1], text[end])
    )


def _go_on(one: str, other: str) -> bool:
    """Whether two neighbours are of one word."""
    return one.isalnum() and other.isalnum() and not _WITHOUT_SPACES.match(one) and not _WITHOUT_SPACES.match(other)


def _words_of_file(path: Path) -> list[str]:
    try:
        words = _words_in(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): expected a word list; edit prepare.sensitive_words.files"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start}): save the word list as UTF-8") from error
    if not words:
        raise ConfigError(f"{path} holds no word: expected a word or phrase a line, '#' begins a comment")
    return words


def _words_in(text: str) -> list[str]:
    return [word for word in (_COMMENT.sub("", line).strip() for line in text.splitlines()) if word]
