"""What serving captures and ``prepare`` reads: the columns of its rows, and where they lie."""

from typing import Literal

Record = Literal["exchange", "feedback"]

COLUMNS = (
    "record",
    "request_id",
    "t",
    "revision",
    "path",
    "complete",
    "request",
    "response",
    "score",
    "comment",
    "prompt_tokens",
    "completion_tokens",
)
"""``record`` is ``exchange`` or ``feedback``; both bear the ``request_id`` of the exchange and its time ``t`` (Unix seconds).

``revision`` is the one that answered. ``request`` and ``response`` are JSON texts. ``complete`` is false where the answer
was cut off. ``score`` is in [0, 1]; of several feedbacks for one request the last counts.
"""
SUFFIX = ".captured.parquet"
"""What the names of files of such rows end with."""
