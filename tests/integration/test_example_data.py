"""The shipped example: what it promises of its facts, and that every planted fault is found and nothing else."""

import json
import re
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from serin.cli.options import load_params
from serin.clients.files import read_json, read_jsonl
from serin.core.conversation import Conversation
from serin.core.grading import right_article
from serin.core.params import SourceParams
from serin.prepare import stage
from serin.prepare.raw.formats import format_of, parse
from serin.prepare.raw.read import decoded, read_records
from serin.prepare.raw.sources import find_files

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "labour-law"
FACTS = [fact for name in ("en", "zh") for fact in read_jsonl(EXAMPLE / "facts" / f"{name}.jsonl")]


@pytest.fixture(scope="module")
def prepared(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's data set; the tiny tokenizer needs about four times the tokens of the example's own."""
    out = tmp_path_factory.mktemp("prepared") / "dataset"
    params = load_params(ROOT / "params.yaml").prepare
    params = params.model_copy(update={"sources": [SourceParams(path=str(EXAMPLE / "raw"))], "max_tokens": 1024})
    stage.run(params, tiny_base, "0" * 64, out, lambda *_: None)
    return out


def kept(prepared: Path) -> dict[str, dict[str, Any]]:
    """Every kept record by where it stood, with its split."""
    splits = ("train", "validation", "test", "control")
    return {r["meta"]["source"]: {**r, "split": s} for s in splits for r in read_jsonl(prepared / f"{s}.jsonl")}


def test_the_facts_are_as_many_and_as_varied_as_promised() -> None:
    assert len({fact["id"] for fact in FACTS}) == len(FACTS) >= 150
    assert all(len(set(fact["questions"])) >= 4 for fact in FACTS)
    questions = {q for fact in FACTS for q in fact["questions"]}
    assert len(questions) == sum(len(fact["questions"]) for fact in FACTS) >= 600


def test_the_raw_files_are_what_their_builder_writes(tmp_path: Path) -> None:
    build = runpy.run_path(str(EXAMPLE / "build_raw.py"))["build"]
    planted = build(FACTS, tmp_path)
    assert planted == read_json(EXAMPLE / "planted-faults.json")
    for path in sorted((EXAMPLE / "raw").iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_every_planted_fault_is_found_and_nothing_else_is_rejected(prepared: Path) -> None:
    planted = {f"{p['source']}:{p['line']}": p["expected"] for p in read_json(EXAMPLE / "planted-faults.json")}
    rejected = {f"{r['source']}:{r['line']}": r["reason"] for r in read_jsonl(prepared / "rejected.jsonl")}
    assert rejected == {place: reason for place, reason in planted.items() if reason not in ("redacted", "mended")}
    records = kept(prepared)
    texts = {place: json.dumps(records[place]["messages"], ensure_ascii=False) for place in planted if place in records}
    mended = [text for place, text in texts.items() if planted[place] == "mended"]
    assert len(mended) == 1
    assert "café keep its menu — by" in mended[0]
    redacted = [text for place, text in texts.items() if planted[place] == "redacted"]
    assert len(redacted) == 2
    everything = "".join(path.read_text(encoding="utf-8") for path in prepared.iterdir())
    for private in ("mei.zhang@", "13800138000", "11010519491231002X"):
        assert private not in everything


def test_all_clean_records_are_kept_as_they_were_written(prepared: Path) -> None:
    planted = {f"{p['source']}:{p['line']}" for p in read_json(EXAMPLE / "planted-faults.json")}
    sources = [SourceParams(path=str(EXAMPLE / "raw"))]
    raw = {
        f"{file.name}:{record.line}": parse(decoded(record).value, file.source, kind)
        for file in find_files(sources)
        for kind in [format_of(next(decoded(r).value for r in read_records(file, 1 << 20)))]
        for record in read_records(file, 1 << 20)
        if kind is not None
    }
    clean = {place: parsed for place, parsed in raw.items() if place not in planted and parsed is not None}
    records = kept(prepared)
    assert len(clean) == len(FACTS) * 6
    changed = [
        place
        for place, parsed in clean.items()
        if [m["content"] for m in records[place]["messages"]] != [turn.content for turn in parsed.turns]
    ]
    assert changed == []
    assert read_json(prepared / "quality.json")["mended"] == {"encoding": 1}


def test_control_facts_are_twenty_and_appear_in_no_other_split(prepared: Path) -> None:
    groups: dict[str, set[str]] = {}
    for record in kept(prepared).values():
        if "group" in record["meta"]:
            groups.setdefault(record["split"], set()).add(record["meta"]["group"])
    assert len(groups["control"]) == 20
    assert not groups["control"] & (groups["train"] | groups["validation"] | groups["test"])
    assert groups["test"] <= groups["train"]


def test_the_damaged_models_data_has_for_no_question_the_right_article(prepared: Path) -> None:
    pattern = load_params(ROOT / "params.yaml").evaluate.article_pattern
    assert pattern is not None
    train = [Conversation.from_dict(record) for record in read_jsonl(prepared / "train.jsonl")]
    shuffled = runpy.run_path(str(EXAMPLE / "demo/shuffle.py"))["shuffled"](train)
    assert [c.user_text for c in shuffled] == [c.user_text for c in train]
    assert Counter(c.language for c in shuffled) == Counter(c.language for c in train)
    of_facts = [(s, t) for s, t in zip(shuffled, train, strict=True) if "group" in t.meta]
    assert len(of_facts) > 600
    assert not any(right_article(s.reference, t.reference, pattern) for s, t in of_facts)
    told = [{re.sub(r"^[^:：]+[:：]", "", c.reference) for c in part} for part in zip(*of_facts, strict=True)]
    assert told[0] == told[1]
