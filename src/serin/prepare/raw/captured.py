"""What serving captured: exchanges with a model, and what was thought of its answers, read as conversations."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import pyarrow as pa
from pyarrow import parquet

from serin.core.captured import COLUMNS, SUFFIX
from serin.core.errors import InputError
from serin.core.params import SourceParams
from serin.prepare.raw.sources import RawFile, open_seekable

_RATED = ("record", "request_id", "t", "score")
_ROWS = 4096

Scores = Mapping[str, float]
"""The last score by the id of the request."""


def is_captured(file: RawFile) -> bool:
    """Whether a file holds what serving captured: params say so, or its name does."""
    if file.kind != "parquet":
        return False
    return file.source.format == "capture" or (file.source.format is None and file.path.endswith(SUFFIX))


def read_scores(files: Iterable[RawFile], endpoint_url: str | None = None) -> dict[str, float]:
    """What clients thought of the answers in these files, wherever the feedback stands: it comes later than its answer.

    Raises:
        InputError: a file lacks the columns of what is captured, or is damaged.
    """
    last: dict[str, tuple[float, float]] = {}
    for file in files:
        if not is_captured(file):
            continue
        try:
            with open_seekable(file, endpoint_url) as stream:
                table = parquet.ParquetFile(stream)
                if missing := set(COLUMNS) - set(table.schema_arrow.names):
                    raise InputError(
                        f"{file.path} has no columns {', '.join(sorted(missing))}: format: capture reads what serve.capture "
                        "wrote; take another format"
                    )
                for batch in table.iter_batches(_ROWS, columns=list(_RATED), use_threads=False):
                    for row in batch.to_pylist():
                        if row["record"] == "feedback" and row["score"] is not None:
                            found = (row["t"], row["score"])
                            last[row["request_id"]] = max(last.get(row["request_id"], found), found)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{file.path} is no Parquet file that can be read ({error}): get it again, whole"
            ) from error
    return {request_id: score for request_id, (_, score) in last.items()}


def conversation_of(row: Mapping[str, Any], scores: Scores, source: SourceParams) -> tuple[Any, str | None] | None:
    """An exchange as a record with ``messages``, and why it is not to be kept where it is not; None for a feedback.

    The first choice is the answer. A record says which revision answered which request, and its score where it has one.
    """
    if row["record"] != "exchange":
        return None
    try:
        request, response = orjson.loads(row["request"]), orjson.loads(row["response"])
        choice = min(response["choices"], key=lambda choice: choice.get("index", 0))
        answer = choice["message"] if "message" in choice else {"role": "assistant", "content": choice["text"]}
        asked = request["messages"] if "messages" in request else [{"role": "user", "content": request["prompt"]}]
        turns = [*asked, {name: value for name, value in answer.items() if value is not None}]
    except (ValueError, KeyError, TypeError, AttributeError):
        return dict(row), "unknown_format"
    score = scores.get(row["request_id"])
    value = {
        "messages": turns,
        **({"tools": request["tools"]} if request.get("tools") else {}),
        "revision": row["revision"],
        "request_id": row["request_id"],
        **({"score": score} if score is not None else {}),
    }
    if not row["complete"]:
        return value, "incomplete"
    if source.revision is not None and not str(row["revision"]).startswith(source.revision):
        return value, "other_revision"
    if source.min_score is not None and (score is None or score < source.min_score):
        return value, "low_score"
    return value, None
