"""From a spool's lines to a Parquet file."""

from collections.abc import Iterable
from pathlib import Path

import orjson
import pyarrow as pa
from pyarrow import parquet

from serin.core.captured import COLUMNS

_TYPES = {
    "t": pa.float64(),
    "complete": pa.bool_(),
    "score": pa.float64(),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS])
_ROWS = 512


def write_table(lines: Iterable[bytes], path: Path) -> int:
    """Write the rows that ``lines`` hold to ``path``; returns how many lines were none, as a torn last one is."""
    torn = 0
    with parquet.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        held = []
        for line in lines:
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                torn += 1
                continue
            held.append(row)
            if len(held) >= _ROWS:
                writer.write_table(pa.Table.from_pylist(held, SCHEMA))
                held = []
        if held:
            writer.write_table(pa.Table.from_pylist(held, SCHEMA))
    return torn
