"""The rows of what is captured, without personal data, by the rules of ``prepare``."""

from collections import Counter
from typing import Any

import orjson

from serin.core.captured import COLUMNS
from serin.core.cleaning import clean_value
from serin.core.errors import InputError
from serin.core.params import PersonalDataParams
from serin.core.personal_data import PersonalDataFinder
from serin.serve.gateway.capture.answers import answered, asked
from serin.serve.gateway.finished import Finished
from serin.serve.gateway.rating import Rating


class UncapturableError(InputError):
    """A request of which nothing may, or can, be kept. ``reason`` is one word, to be counted."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class RowWriter:
    """Turns what happened into rows. Text is cleaned before it is redacted, so that nothing hides from the rules."""

    def __init__(self, params: PersonalDataParams) -> None:
        self._finder = PersonalDataFinder(params)

    def exchange(self, record: Finished) -> dict[str, Any]:
        """The row of a request and its answer. Raises UncapturableError."""
        if record.bodies is None:
            raise UncapturableError("no_body")
        try:
            response = answered(record.bodies.answer, record.streamed)
            request = asked(record.bodies.request)
            complete = record.kind is None and response.pop("complete")
            request_text, response_text = self._json(request), self._json(response)
        except (InputError, RecursionError, AttributeError, TypeError, ValueError) as error:
            if isinstance(error, UncapturableError):
                raise
            raise UncapturableError("unreadable") from error
        return _row(
            record="exchange",
            request_id=record.identity.nonce,
            t=record.identity.assigned_t,
            revision=record.answered_by or record.identity.revision,
            path=record.path,
            complete=complete,
            request=request_text,
            response=response_text,
            prompt_tokens=record.prompt_tokens,
            completion_tokens=record.completion_tokens,
        )

    def feedback(self, rating: Rating) -> dict[str, Any]:
        """The row of a feedback. A comment that must not be kept is left out."""
        try:
            comment = self._redacted(rating.comment)
        except UncapturableError:
            comment = None
        return _row(
            record="feedback",
            request_id=rating.identity.nonce,
            t=rating.t,
            revision=rating.identity.revision,
            score=rating.score,
            comment=comment,
        )

    def _json(self, value: Any) -> str:
        return orjson.dumps(self._redacted(value)).decode()

    def _redacted(self, value: Any) -> Any:
        found: Counter[str] = Counter()
        redacted = self._finder.redact_value(clean_value(value, "keep"), found)
        if any(self._finder.actions[type_] == "drop" for type_ in found):
            raise UncapturableError("personal_data")
        return redacted


def _row(**values: Any) -> dict[str, Any]:
    return {name: values.get(name) for name in COLUMNS}
