"""Data of a bicycle workshop, in shapes that people have, and a base model folder without its weights."""

import csv
import gzip
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PARTS = ("chain", "saddle", "brake cable", "rear tyre", "hub gear", "fork")


def turns(number: int) -> dict[str, Any]:
    """A record in the form that ShareGPT has."""
    part = PARTS[number % len(PARTS)]
    return {
        "conversations": [
            {"from": "human", "value": f"How should I look after the {part} in week {number}?"},
            {"from": "gpt", "value": f"You clean the {part} with a dry cloth and check it after {number} rides."},
        ]
    }


def write_jsonl(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    """JSON Lines, packed where the name says so."""
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())
    return path


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], encoding: str = "utf-8") -> Path:
    """A table with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """40 conversations, outside of any project."""
    return write_jsonl(tmp_path / "shop.jsonl.gz", [turns(n) for n in range(40)])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """What ``serin init`` reads of a model folder; the weights are empty."""
    folder = tmp_path / "model"
    shutil.copytree(ROOT / "examples/labour-law/base", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.safetensors").touch()
    return folder
