"""A log that machines read."""

import io
import json
import logging

from serin.controller.loop.logs import JsonLines


def test_each_event_is_one_line_with_its_fields() -> None:
    stream = io.StringIO()
    logger = logging.Logger("serin.controller")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.warning("tried again later", extra={"finetune": "law", "error": "two\nlines"})
    try:
        int("seven")
    except ValueError:
        logger.exception("failed")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert {
        "level": "warning",
        "message": "tried again later",
        "finetune": "law",
        "error": "two\nlines",
    }.items() <= first.items()
    assert "ValueError" in second["trace"]
