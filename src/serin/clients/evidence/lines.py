"""Rows as lines of JSON."""

from collections.abc import Iterable, Iterator

import orjson

from serin.clients.evidence import Row


def line_of(row: Row) -> bytes:
    """A row as one line."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def rows_of(lines: Iterable[bytes]) -> Iterator[Row]:
    """The rows of these lines; one that the crash of a machine tore is left out."""
    for line in lines:
        try:
            row = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
