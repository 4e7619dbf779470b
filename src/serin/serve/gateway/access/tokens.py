"""Tokens of requests: what one may take is charged when it starts, and what it took is settled when it is over."""

from collections.abc import Mapping
from typing import Any

from serin.core.errors import UsageError
from serin.serve.gateway.access.keys import ApiKey, Caller
from serin.serve.gateway.access.limiter import Admission, Limiter
from serin.serve.gateway.finished import Finished
from serin.serve.gateway.request_id import RequestIdentity

_BYTES_PER_TOKEN = 4
"""Of a request's body; what OpenAI tells of English text. The estimate lasts as long as the request."""
_MOST_ANSWERS = 128
"""More answers to one request count as so many: a revision refuses such numbers anyway."""
_LENGTHS = {
    "/v1/chat/completions": ("max_completion_tokens", "max_tokens"),
    "/v1/chat/completions/batch": ("max_completion_tokens", "max_tokens"),
    "/v1/completions": ("max_tokens",),
    "/v1/responses": ("max_output_tokens",),
    "/v1/messages": ("max_tokens",),
}
"""The members that say how long an answer may be, the one that counts first; other paths write no text."""


class TooLongError(UsageError):
    """A request asks for a longer answer than its key may have."""


def length_asked(path: str, value: Mapping[str, Any], key: ApiKey | None) -> dict[str, int]:
    """What to add to a request so that its key's ``max_output_tokens`` holds; nothing where it asks for a length itself.

    Raises:
        TooLongError: it asks for more, or for something that is no whole number and might be read as more.
    """
    members, most = _LENGTHS.get(path, ()), None if key is None else key.limits.max_output_tokens
    if not members or most is None:
        return {}
    given = {name: value[name] for name in members if value.get(name) is not None}
    for name, asked in given.items():
        if type(asked) is not int or asked > most:
            raise TooLongError(f"{name} = {asked!r:.40}: this key may ask for {most} tokens at most, in a whole number")
    return {} if given else {members[0]: most}


def estimate(path: str, body: bytes, value: Mapping[str, Any], max_model_len: int) -> float:
    """Tokens that a request may take: of its prompt by its size, and of its answers by the length that it asks for."""
    asked = [value[name] for name in _LENGTHS.get(path, ()) if type(value.get(name)) is int]
    length = min(max(asked[0], 0), max_model_len) if asked else max_model_len
    answers = value.get("n")
    count = min(max(answers, 1), _MOST_ANSWERS) if type(answers) is int else 1
    return len(body) / _BYTES_PER_TOKEN + (length * count if path in _LENGTHS else 0)


class TokenAllowance:
    """Charges keys that have a limit of tokens; an observer, so that it hears of every end.

    Where no usage was reported, the estimate stands if the client had an answer or left before its end: leaving early
    shall not be a way to pay nothing. A request that failed costs nothing.
    """

    def __init__(self, limiter: Limiter, max_model_len: int) -> None:
        self.limiter = limiter
        self.max_model_len = max_model_len
        self._charged: dict[str, tuple[ApiKey, float]] = {}

    async def admit(
        self, caller: Caller | None, nonce: str, path: str, body: bytes, value: Mapping[str, Any]
    ) -> Admission:
        """Charge the estimate. Whoever is admitted must end in ``finished``."""
        key = None if caller is None else caller.key
        if key is None or key.limits.tokens_per_minute is None:
            return Admission(True, unit="tokens")
        tokens = estimate(path, body, value, self.max_model_len)
        admission = await self.limiter.admit(key, "tokens", tokens)
        if admission.admitted:
            self._charged[nonce] = (key, tokens)
        return admission

    def wants_bodies(self, identity: RequestIdentity) -> bool:  # noqa: ARG002 - an observer's shape
        """None."""
        return False

    def finished(self, record: Finished) -> None:
        """Settle."""
        if record.shadow:
            return
        key, tokens = self._charged.pop(record.identity.nonce, (None, 0.0))
        if key is not None:
            self.limiter.correct(key, "tokens", tokens - _used(record, tokens))


def _used(record: Finished, estimated: float) -> float:
    if record.prompt_tokens is not None or record.completion_tokens is not None:
        return (record.prompt_tokens or 0) + (record.completion_tokens or 0)
    left = record.kind in ("client_closed", "client_stalled")
    return estimated if left or (200 <= record.status < 300 and record.kind is None) else 0.0
