"""What a revision may be asked: vLLM's paths for clients, and how the streams of each begin, end and report usage.

Paths and events are those of vLLM's ``entrypoints``; its paths for operators (sleep, profile, LoRA loading, …) and those
that take no JSON (audio) are not among them.
"""

from dataclasses import dataclass

_ERROR = b'data: {"error"'


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``forces_usage``: the stream says what it used only where ``stream_options`` ask for it.

    ``ends``: a stream that stops without one of these is broken. ``errors``: what an event of failure looks like. A JSON
    string cannot hold either, because it escapes quotes and line ends.
    """

    forces_usage: bool = False
    ends: tuple[bytes, ...] = (b"data: [DONE]\n\n",)
    errors: tuple[bytes, ...] = (_ERROR,)


_COMPLETIONS = Endpoint(forces_usage=True)
_RESPONSES = Endpoint(
    ends=(b"event: response.completed\n", b"event: response.incomplete\n", b"event: response.failed\n"),
    errors=(_ERROR, b"event: response.failed\n", b"event: error\n"),
)
_MESSAGES = Endpoint(ends=(b"event: message_stop\n",), errors=(_ERROR, b"event: error\n"))
_UNARY = Endpoint()

ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": _COMPLETIONS,
    "/v1/completions": _COMPLETIONS,
    "/v1/responses": _RESPONSES,
    "/v1/messages": _MESSAGES,
    "/v1/messages/count_tokens": _UNARY,
    "/v1/chat/completions/batch": _UNARY,
    "/v1/embeddings": _UNARY,
    "/v2/embed": _UNARY,
    "/v1/score": _UNARY,
    "/score": _UNARY,
    "/v1/rerank": _UNARY,
    "/v2/rerank": _UNARY,
    "/rerank": _UNARY,
    "/pooling": _UNARY,
    "/classify": _UNARY,
    "/tokenize": _UNARY,
    "/detokenize": _UNARY,
}
"""Every path takes POST with a JSON object."""
