"""Words that a domain does not want: found by lists, and confirmed by a model where asked to."""

import re
from collections.abc import Sequence

from serin.clients.endpoint import Endpoint, Request
from serin.clients.word_lists import load_word_lists
from serin.core.conversation import Conversation
from serin.core.params import SensitiveWordParams
from serin.core.words import WordLists

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


def load_lists(params: SensitiveWordParams) -> WordLists:
    """The lists that the params name; none where nothing is to be done with what they find. Raises ConfigError as they do."""
    if params.action == "ignore":
        return WordLists({})
    return load_word_lists(params.lists, params.files, "prepare.sensitive_words")


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
