"""The access log: one JSON line a request, with figures and pseudonyms, without a word of what was said."""

import sys
from collections.abc import Callable
from typing import Any

import orjson

from serin.serve.gateway.finished import Finished
from serin.serve.gateway.rating import Rating
from serin.serve.gateway.request_id import RequestIdentity
from serin.serve.gateway.telemetry.log_file import LogFile

FEEDBACK_PATH = "/v1/feedback"


class AccessLog:
    """Writes to ``file``, or to standard output where there is none."""

    def __init__(self, file: LogFile | None, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock

    def wants_bodies(self, identity: RequestIdentity) -> bool:  # noqa: ARG002 - an observer's shape
        """Never."""
        return False

    def finished(self, record: Finished) -> None:
        """One line a request, and one a shadow of a request."""
        identity = record.identity
        self._write(
            {
                "t": self._clock(),
                "request": identity.nonce,
                "path": record.path,
                "key": record.caller,
                "unit": identity.unit,
                "arm": identity.arm,
                "revision": identity.revision,
                "answered_by": record.answered_by,
                "status": record.status,
                "kind": record.kind,
                "streamed": record.streamed,
                "failover": record.failover,
                "shadow": record.shadow,
                "duration_s": _rounded(record.duration_s),
                "ttft_s": _rounded(record.ttft_s),
                "tpot_s": _rounded(record.tpot_s),
                "prompt_tokens": record.prompt_tokens,
                "completion_tokens": record.completion_tokens,
            }
        )

    def rated(self, rating: Rating) -> None:
        """One line a feedback; its comment is no figure."""
        identity = rating.identity
        line = {"t": rating.t, "request": identity.nonce, "path": FEEDBACK_PATH, "unit": identity.unit}
        self._write({**line, "arm": identity.arm, "revision": identity.revision, "score": rating.score})

    def close(self) -> None:
        """Give the descriptor back."""
        if self._file is not None:
            self._file.close()

    def _write(self, row: dict[str, Any]) -> None:
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        if self._file is not None:
            self._file.append(line)
        else:
            sys.stdout.write(line.decode())
            sys.stdout.flush()


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
