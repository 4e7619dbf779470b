"""Word lists on disk: those that come with Serin, and files of the user's own."""

import re
from collections.abc import Sequence
from importlib.resources import files as resources
from pathlib import Path

from serin.core.errors import ConfigError
from serin.core.words import WordLists

_COMMENT = re.compile(r"(?:^|\s)#.*")


def load_word_lists(codes: Sequence[str], files: Sequence[str], section: str) -> WordLists:
    """The lists that come with Serin, by their code, and files, by their names (with folders where two are the same).

    ``section`` of the params names the files, for messages.

    Raises:
        ConfigError: a file that is missing, not UTF-8 or without a word.
    """
    shipped = resources("serin.clients") / "words"
    lists: dict[str, list[str]] = {
        code: _words_in((shipped / f"{code}.txt").read_text(encoding="utf-8")) for code in codes
    }
    names: list[str] = [*codes, *(Path(file).name for file in files)]
    for file in files:
        path = Path(file)
        name = path.name if names.count(path.name) == 1 else path.as_posix().lstrip("/")
        lists.setdefault(name, []).extend(_words_of_file(path, section))
    return WordLists(lists)


def _words_of_file(path: Path, section: str) -> list[str]:
    try:
        words = _words_in(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): expected a word list; edit {section}.files"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start}): save the word list as UTF-8") from error
    if not words:
        raise ConfigError(f"{path} holds no word: expected a word or phrase a line, '#' begins a comment")
    return words


def _words_in(text: str) -> list[str]:
    return [word for word in (_COMMENT.sub("", line).strip() for line in text.splitlines()) if word]
