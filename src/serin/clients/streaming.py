"""Chat completions from an OpenAI-compatible server, as they are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from serin.clients.completion import words_of_refusal
from serin.core.errors import ConfigError, RetryableError, SerinError, UsageError

if TYPE_CHECKING:
    from openai import OpenAI, OpenAIError
    from openai.types.chat import ChatCompletionMessageParam

_RETRIES = 1
_LONGEST_SILENCE_S = 120.0
_PASSING_STATUSES = (408, 409, 429)
_WORDS_CHARS = 300


@dataclass(frozen=True, slots=True)
class Server:
    """Where a model is asked."""

    url: str
    """Base address, such as ``http://127.0.0.1:8000/v1``."""
    key: str
    """``NO_KEY`` where the server asks for none."""


def stream_completion(
    server: Server,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    max_tokens: int,
    temperature: float,
    on_text: Callable[[str], None],
) -> str:
    """The whole answer; ``on_text`` hears it piece by piece, and may raise to stop.

    Raises:
        ConfigError: the server refuses.
        RetryableError: it does not answer, or breaks off.
    """
    from openai import OpenAIError

    said: list[str] = []
    reason = None
    try:
        with _client(server) as client:
            chunks = client.chat.completions.create(
                model=model,
                messages=cast("list[ChatCompletionMessageParam]", list(messages)),
                max_completion_tokens=max_tokens,
                temperature=temperature,
                stream=True,
            )
            with chunks:
                for chunk in chunks:
                    for choice in chunk.choices:
                        reason = choice.finish_reason or reason
                        if choice.delta.content:
                            said.append(choice.delta.content)
                            on_text(choice.delta.content)
    except OpenAIError as error:
        raise _told(server, error) from error
    if reason is None:
        raise RetryableError(f"{server.url} broke off in the middle of its answer: ask again")
    return "".join(said).strip()


def only_model(server: Server) -> str:
    """The model of a server that has just one.

    Raises:
        UsageError: it has none, or several.
        ConfigError: it refuses to say.
        RetryableError: it does not answer.
    """
    from openai import OpenAIError

    try:
        with _client(server) as client:
            models = sorted(model.id for model in client.models.list())
    except OpenAIError as error:
        raise _told(server, error) from error
    if len(models) != 1:
        raise UsageError(f"{server.url} has {', '.join(models) or 'no model'}: name one with --endpoint-model")
    return models[0]


def _client(server: Server) -> "OpenAI":
    from openai import OpenAI

    return OpenAI(base_url=server.url, api_key=server.key, max_retries=_RETRIES, timeout=_LONGEST_SILENCE_S)


def _told(server: Server, error: "OpenAIError") -> SerinError:
    from openai import APIError, APIStatusError

    if isinstance(error, APIStatusError):
        words = " ".join(words_of_refusal(error.body).replace(server.key, "[KEY]").split())[:_WORDS_CHARS]
        if error.status_code < 500 and error.status_code not in _PASSING_STATUSES:
            return ConfigError(f"{server.url} refused with {error.status_code}: {words}; check address, model and key")
        return RetryableError(f"{server.url} failed with {error.status_code}: {words}; ask again")
    cause = error.__cause__ or error
    words = (
        error.message if isinstance(error, APIError) and error.__cause__ is None else f"{type(cause).__name__}: {cause}"
    )
    return RetryableError(f"{server.url} did not answer ({words.rstrip(': ')}): check that it runs, and ask again")
