"""Captured rows read as conversations: which ones, with which score, and from which revision."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import ValidationError

from serin.core.captured import COLUMNS, SUFFIX
from serin.core.errors import InputError
from serin.core.params import SourceParams
from serin.prepare.raw.captured import read_scores
from serin.prepare.raw.read import RawRecord, read_records
from serin.prepare.raw.sources import RawFile, find_files

OLD, NEW = "law-qa@aaaa", "law-qa@bbbb"


def exchange(request_id: str, revision: str = OLD, complete: bool = True, **message: Any) -> dict[str, Any]:
    turn = {"role": "assistant", "content": "Six months.", **message}
    request = {"messages": [{"role": "user", "content": f"How long, {request_id}?"}], "tools": [{"type": "function"}]}
    response = {"choices": [{"index": 1, "message": {}}, {"index": 0, "message": turn}]}
    row = {"record": "exchange", "request_id": request_id, "t": 1.0, "revision": revision, "complete": complete}
    return {**row, "request": json.dumps(request), "response": json.dumps(response)}


def feedback(request_id: str, t: float, score: float) -> dict[str, Any]:
    return {"record": "feedback", "request_id": request_id, "t": t, "score": score}


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist([{name: row.get(name) for name in COLUMNS} for row in rows]), path)
    return path


def files_of(folder: Path, **source: Any) -> list[RawFile]:
    return find_files([SourceParams(path=str(folder), **source)])


def read(folder: Path, **source: Any) -> list[RawRecord]:
    files = files_of(folder, **source)
    scores = read_scores(files)
    return [record for file in files for record in read_records(file, 1 << 20, None, scores)]


def test_an_exchange_becomes_its_turns_and_what_is_known_of_them(tmp_path: Path) -> None:
    written(tmp_path / f"a{SUFFIX}", exchange("r1", NEW))
    ((record),) = read(tmp_path)
    assert record.fault is None
    assert [turn["content"] for turn in record.value["messages"]] == ["How long, r1?", "Six months."]
    assert record.value["tools"] == [{"type": "function"}]
    assert (record.value["revision"], record.value["request_id"]) == (NEW, "r1")


def test_the_last_feedback_counts_wherever_it_stands(tmp_path: Path) -> None:
    written(tmp_path / f"a{SUFFIX}", feedback("r1", 3.0, 1.0), exchange("r1"), exchange("r2"), exchange("r3"))
    written(tmp_path / f"b{SUFFIX}", feedback("r1", 2.0, 0.0), feedback("r2", 1.0, 0.4), feedback("gone", 1.0, 1.0))
    found = {record.value["request_id"]: record for record in read(tmp_path, format="capture", min_score=0.5)}
    assert found["r1"].value["score"] == 1.0
    assert {name: record.fault for name, record in found.items()} == {"r1": None, "r2": "low_score", "r3": "low_score"}


def test_one_revision_is_taken_and_what_was_cut_off_is_not(tmp_path: Path) -> None:
    written(tmp_path / f"a{SUFFIX}", exchange("r1", NEW), exchange("r2", OLD), exchange("r3", NEW, complete=False))
    found = {r.value["request_id"]: r.fault for r in read(tmp_path, format="capture", revision="law-qa@bb")}
    assert found == {"r1": None, "r2": "other_revision", "r3": "incomplete"}


def test_a_row_that_is_damaged_is_rejected_alone(tmp_path: Path) -> None:
    broken = {**exchange("r1"), "response": "{"}
    other = {**exchange("r2"), "response": '{"choices": []}'}
    written(tmp_path / f"a{SUFFIX}", broken, other, exchange("r3"))
    assert [record.fault for record in read(tmp_path)] == ["unknown_format", "unknown_format", None]


def test_another_name_is_captured_where_params_say_so_and_has_to_be(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", exchange("r1"))
    assert "messages" not in read(tmp_path)[0].value
    assert "messages" in read(tmp_path, format="capture")[0].value
    parquet.write_table(pa.table({"question": ["q"], "answer": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"has no columns comment, complete.*take another format"):
        read(tmp_path, format="capture")


def test_a_filter_without_the_format_is_refused() -> None:
    with pytest.raises(ValidationError, match="min_score and revision are for format: capture"):
        SourceParams(path="x", min_score=0.5)
