"""The files that a corpus stands in: nine shapes, as people have them, with some records damaged in the writing."""

import csv
import io
import json
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from .planted import LONGEST_RECORD_BYTES, Corpus, Planted
from .records import Record, Turn

FILES = {
    "tickets": "tickets.jsonl.gz",
    "faq": "faq.json",
    "export": "export.csv",
    "kundschaft": "kundschaft.csv",
    "chats": "chats.parquet",
    "agents": "agents.jsonl",
    "forum": "forum.jsonl.zst",
    "test": "given-test.jsonl",
    "benchmark": "benchmark.jsonl",
}
_SHAREGPT = {"user": "human", "assistant": "gpt", "tool": "observation"}
_EXPORTS = {
    "export": (["Ticket", "Kundenfrage", "Antwort des Supports", "Gruppe"], ";", "utf-8"),
    "kundschaft": (["编号", "问题", "答复", "组"], ",", "gb18030"),
}
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": what,
            "parameters": {"type": "object", "properties": {"item": {"type": "string"}}},
        },
    }
    for name, what in (("look_up_stock", "Count the pieces in a branch."), ("find_case", "Find a known case."))
]


def sources(folder: Path) -> dict[str, Any]:
    """What ``params.yaml`` would say of the files."""
    given: dict[str, dict[str, Any]] = {shape: {"path": str(folder / name)} for shape, name in FILES.items()}
    for shape, (names, _, encoding) in _EXPORTS.items():
        given[shape] |= {
            "format": "columns",
            "columns": {"user": names[1], "assistant": names[2]},
            "encoding": encoding,
        }
    given["test"]["split"] = "test"
    benchmark = given.pop("benchmark")
    return {"sources": list(given.values()), "benchmarks": [benchmark]}


def write(corpus: Corpus, folder: Path, chance: random.Random) -> dict[str, str]:
    """Write all files; returns where each record stands, ``file:line``, by its key."""
    places: dict[str, str] = {}
    for shape, part in corpus.records.items():
        if shape == "chats":
            _write_parquet(folder / FILES[shape], part)
            lines: Sequence[int] = range(1, len(part) + 1)
        else:
            content, lines = _FORMS[shape](part, chance)
            _write_packed(folder / FILES[shape], content)
        places |= {one.key: f"{FILES[shape]}:{line}" for one, line in zip(part, lines, strict=True)}
    return places


def _write_packed(path: Path, content: bytes) -> None:
    compression = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    if compression is None:
        path.write_bytes(content)
        return
    with path.open("wb") as file, pyarrow.CompressedOutputStream(file, compression) as stream:
        stream.write(content)


def _write_parquet(path: Path, part: Sequence[Planted]) -> None:
    rows = [
        {
            "ref": one.key,
            "conversations": [{"role": t.role, "content": t.content} for t in one.written.turns],
            "rating": i % 5,
        }
        for i, one in enumerate(part)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=1000, compression="zstd")


def _tickets(record: Record, _: random.Random) -> dict[str, Any]:
    turns = [{"from": _SHAREGPT.get(turn.role, turn.role), "value": turn.content} for turn in record.turns]
    return {"ref": record.key, "conversations": turns, "channel": "mail"}


def _faq(record: Record, _: random.Random) -> dict[str, Any]:
    turns = [turn for turn in record.turns if turn.role != "system"]
    pairs = [[one.content, other.content] for one, other in zip(turns[::2], turns[1::2], strict=True)]
    asked, answered = pairs.pop()
    lines = asked.split("\n")
    instruction, given = lines if len(lines) == 2 and all(map(str.strip, lines)) else (asked, "")
    system = {turn.role: turn.content for turn in record.turns if turn.role == "system"}
    history = {"history": pairs} if pairs else {}
    return {"ref": record.key, "instruction": instruction, "input": given, "output": answered, **system, **history}


def _agents(record: Record, chance: random.Random) -> dict[str, Any]:
    tools = {"tools": _TOOLS} if record.has_tools else {}
    return {
        "meta": {"ref": record.key, "queue": "first level"},
        "messages": [_message(turn, chance) for turn in record.turns],
        **tools,
    }


def _message(turn: Turn, chance: random.Random) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.reasoning is not None:
        message["reasoning_content"] = turn.reasoning
    if turn.calls:
        message["tool_calls"] = [
            {"id": f"call-{n}", "type": "function", "function": {"name": name, "arguments": _arguments(given, chance)}}
            for n, (name, given) in enumerate(turn.calls, 1)
        ]
    if turn.answers is not None:
        message["tool_call_id"] = turn.answers
    if not turn.train:
        message["train"] = False
    return message


def _arguments(given: Mapping[str, Any], chance: random.Random) -> Any:
    return json.dumps(given, ensure_ascii=False) if chance.random() < 0.5 else given


def _forum(record: Record, _: random.Random) -> dict[str, Any]:
    system = {turn.role: turn.content for turn in record.turns if turn.role == "system"}
    asked, answered = (turn.content for turn in record.turns if turn.role != "system")
    return {"meta": {"ref": record.key}, **system, "prompt": asked, "completion": answered}


def _benchmark(record: Record, _: random.Random) -> dict[str, Any]:
    return {"ref": record.key, "question": record.turns[0].content, "answer": record.turns[1].content}


_AS: Mapping[str, Callable[[Record, random.Random], dict[str, Any]]] = {
    "tickets": _tickets,
    "faq": _faq,
    "agents": _agents,
    "forum": _forum,
    "test": _agents,
    "benchmark": _benchmark,
}


def _text_of(one: Planted, chance: random.Random) -> str:
    """A record as JSON, damaged if that is its fault; its key stands in front of whatever is damaged."""
    value = _AS[one.written.shape](one.written, chance)
    if one.name in ("no_format", "other_format", "huge"):
        value = _misshapen(one, value)
    text = json.dumps(value, ensure_ascii=chance.random() < 0.4)
    if one.name == "broken_line":
        cut = text[: chance.randint(len(text) // 2, len(text) - 1)]
        return chance.choice((cut, repr(value), f"{text[:-1]},}}", text.replace('": ', '" ', 1)))
    return text


def _misshapen(one: Planted, value: dict[str, Any]) -> dict[str, Any]:
    asked = next(turn.content for turn in one.written.turns if turn.role == "user")
    answered = one.written.turns[-1].content
    if one.name == "huge":
        return {"ref": one.key, **value, "attachment": answered * (1 + LONGEST_RECORD_BYTES // len(answered))}
    if one.name == "no_format":
        return {"ref": one.key, "title": asked, "body": answered}
    if one.written.shape == "forum":
        turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        return {"ref": one.key, "messages": turns}
    return {"ref": one.key, "question": asked, "answer": answered}


def _bytes_of(one: Planted, text: str, encoding: str, chance: random.Random) -> bytes:
    if one.name != "broken_bytes":
        return text.encode(encoding)
    place = chance.randint(text.index(one.key) + len(one.key), len(text) - 1)
    stray = chance.choice((b"\xff", b"\xe9")) if encoding == "utf-8" else b"\xff"
    return text[:place].encode(encoding) + stray + text[place:].encode(encoding)


def _json_lines(part: Sequence[Planted], chance: random.Random) -> tuple[bytes, Sequence[int]]:
    lines = [_bytes_of(one, _text_of(one, chance), "utf-8", chance) + b"\n" for one in part]
    return b"".join(lines), range(1, len(part) + 1)


def _json_array(part: Sequence[Planted], chance: random.Random) -> tuple[bytes, Sequence[int]]:
    values = [_bytes_of(one, _text_of(one, chance), "utf-8", chance) for one in part]
    return b"[\n  " + b",\n  ".join(values) + b"\n]\n", range(1, len(part) + 1)


def _rows(part: Sequence[Planted], chance: random.Random) -> tuple[bytes, Sequence[int]]:
    names, delimiter, encoding = _EXPORTS[part[0].written.shape]
    rows = [_row(names, delimiter).encode(encoding)]
    rows += [_bytes_of(one, _row_of(one, delimiter, chance), encoding, chance) for one in part]
    ends = accumulate(row.count(b"\n") for row in rows)
    return b"".join(rows), [1 + end for end in ends][:-1]


def _row_of(one: Planted, delimiter: str, chance: random.Random) -> str:
    said = [turn.content for turn in one.written.turns if turn.role != "system"]
    cells = [one.key, *said, chance.choice(("A", "B"))]
    if one.name == "open_quote":
        return delimiter.join([cells[0], '"' + cells[1].replace(delimiter, " "), *cells[2:]]) + "\n"
    if one.name == "lost_column":
        cells = chance.choice((cells[:-1], [*cells, "C"]))
    return _row(cells, delimiter)


def _row(cells: Sequence[str], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return out.getvalue()


_FORMS: Mapping[str, Callable[[Sequence[Planted], random.Random], tuple[bytes, Sequence[int]]]] = {
    **dict.fromkeys(("tickets", "agents", "forum", "test", "benchmark"), _json_lines),
    "faq": _json_array,
    "export": _rows,
    "kundschaft": _rows,
}
