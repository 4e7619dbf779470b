"""What a stage left in storage, where it can be read."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from serin.clients.storage import Storage
from serin.core.task import Result, progress_key, result_key

_LOG = logging.getLogger(__name__)


def result_in(storage: Storage, prefix: str) -> Result | None:
    """A stage's result; None where there is none, or one that cannot be read. Raises StorageError without an answer."""
    key = result_key(prefix)
    data, _ = storage.read_versioned(key)
    if data is None:
        return None
    try:
        return Result.model_validate_json(data)
    except ValidationError as error:
        _LOG.warning("a result is damaged", extra={"key": storage.uri(key), "error": str(error)})
        return None


def progress_in(storage: Storage, prefix: str) -> Mapping[str, Any] | None:
    """How far a stage is; None where it does not say so. Raises StorageError without an answer."""
    data, _ = storage.read_versioned(progress_key(prefix))
    try:
        found = json.loads(data or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
