"""What a client thought of an answer, as its request says it and as the gateway's observers are told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from serin.core.errors import InputError
from serin.serve.gateway.request_id import RequestIdentity

COMMENT_CHARS = 2000
_MEMBERS = ("request_id", "score", "thumbs", "comment")
_THUMBS = {"up": 1.0, "down": 0.0}


@dataclass(frozen=True, slots=True)
class Rating:
    """``score`` is in [0, 1]; ``t`` is when it came, in Unix seconds. A later one for the same request replaces it."""

    identity: RequestIdentity
    t: float
    score: float
    comment: str | None = None


class RatingObserver(Protocol):
    """Somebody who is told of ratings. It must return at once: it runs in the event loop that serves."""

    def rated(self, rating: Rating) -> None:
        """A client rated an answer."""
        ...


def request_id_of(value: Mapping[str, Any]) -> str:
    """The id that a feedback names. Raises InputError where it names none."""
    request_id = value.get("request_id")
    if not isinstance(request_id, str):
        raise InputError("request_id is missing: send the answer's x-request-id header as it came")
    return request_id


def score_of(value: Mapping[str, Any]) -> float:
    """The score that a feedback gives. Raises InputError where it gives none, two, or one that is none."""
    if unknown := [name for name in value if name not in _MEMBERS]:
        raise InputError(f"{unknown[0]!r} is no member of a feedback: it takes {', '.join(_MEMBERS)}")
    if ("score" in value) == ("thumbs" in value):
        raise InputError("send either score (a number from 0 to 1) or thumbs ('up' or 'down')")
    if "thumbs" in value:
        thumbs = value["thumbs"]
        if not isinstance(thumbs, str) or thumbs not in _THUMBS:
            raise InputError(f"thumbs {thumbs!r}: must be 'up' or 'down'")
        return _THUMBS[thumbs]
    score = value["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InputError(f"score {score!r}: must be a number from 0 to 1")
    return float(score)


def comment_of(value: Mapping[str, Any]) -> str | None:
    """The comment that a feedback gives, None where it gives none. Raises InputError where it is too long or no text."""
    comment = value.get("comment")
    if comment is None:
        return None
    if not isinstance(comment, str):
        raise InputError("comment must be a text")
    if len(comment) > COMMENT_CHARS:
        raise InputError(f"comment has {len(comment)} characters: must have at most {COMMENT_CHARS}")
    return comment or None
