"""A model behind an OpenAI-compatible endpoint that is talked to."""

from collections.abc import Sequence

from serin.clients.streaming import Server, stream_completion
from serin.core.conversation import Message
from serin.evaluate.chat.speaker import OnText


class RemoteSpeaker:
    """Renders with the server's own chat template; greedily at temperature 0."""

    def __init__(self, name: str, server: Server, model: str, max_new_tokens: int, temperature: float) -> None:
        self.name = name
        self._server, self._model = server, model
        self._max_new_tokens, self._temperature = max_new_tokens, temperature

    def speak(self, messages: Sequence[Message], on_text: OnText) -> str:
        """See ``Speaker``."""
        return stream_completion(
            self._server,
            self._model,
            [message.as_dict() for message in messages],
            self._max_new_tokens,
            self._temperature,
            on_text,
        )
