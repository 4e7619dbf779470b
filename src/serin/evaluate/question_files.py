"""Files of questions, one conversation a line: those that come with Serin, and the user's own."""

import json
from collections.abc import Callable, Iterator, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path

from serin.core.conversation import Conversation
from serin.core.errors import ConfigError, InputError

SHIPPED = "serin"
"""Names the file that comes with Serin."""


def load_questions(
    files: Sequence[str],
    shipped: Traversable,
    section: str,
    fault: Callable[[Conversation], str | None] = lambda _: None,
) -> list[Conversation]:
    """The questions of all files, in their order; ``serin`` stands for ``shipped``, and no file means no question.

    ``fault`` says what a set finds wrong with a question, and ``section`` of the params names the files, for messages.

    Raises:
        ConfigError: a file that is missing, or that holds no question.
        InputError: a line that is no conversation, asks nothing or has a fault, or whose id was there before.
    """
    questions: list[Conversation] = []
    places: dict[str, str] = {}
    for file in dict.fromkeys(files):
        path = shipped if file == SHIPPED else Path(file)
        before = len(questions)
        for place, question in _read(path, section):
            if why := _asks_nothing(question) or fault(question):
                raise InputError(f"{place} {why}; mend the line")
            if question.id in places:
                raise InputError(
                    f"{place} has the id {question.id!r}, as has {places[question.id]}: give each question its own"
                )
            places[question.id] = place
            questions.append(question)
        if len(questions) == before:
            raise ConfigError(f"{path} holds no question: expected a conversation a line; edit {section}")
    return questions


def _read(path: Traversable, section: str) -> Iterator[tuple[str, Conversation]]:
    """Each conversation with its place, ``file:line``; empty lines are passed over."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): expected a file of questions, one conversation a line; edit {section}"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InputError(f"{place} is not JSON ({error}); mend the line") from error
        try:
            yield place, Conversation.from_dict(record)
        except InputError as error:
            raise InputError(
                f'{place} is not a conversation ({error.__cause__!r}): expected {{"messages": [{{"role": "user", '
                '"content": …}], "meta": {"id": …}}'
            ) from error


def _asks_nothing(question: Conversation) -> str | None:
    prompt = question.prompt if question.messages else ()
    if not prompt or prompt[-1].role != "user" or prompt[-1].says_nothing:
        return "asks nothing: expected a turn of the user that a model can answer"
    return None
