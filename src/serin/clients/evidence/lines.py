"""Rows as lines of JSON."""

import json
from collections.abc import Iterable, Iterator

from serin.clients.evidence import Row


def line_of(row: Row) -> bytes:
    """A row as one line."""
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def rows_of(lines: Iterable[bytes]) -> Iterator[Row]:
    """The rows of these lines; one that the crash of a machine tore is left out."""
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
