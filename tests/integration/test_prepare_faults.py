"""The second evaluation of ``prepare``: 20,000 records of another domain, in nine files, with faults at rates drawn by chance.

Recall must reach 0.95 and precision 0.98 for each fault, whatever the seed. ``SERIN_FAULT_SEED`` runs one seed again.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serin.core.params import parse_params
from serin.prepare import stage

from .faults.outcome import Outcome, Score, comes_out, score
from .faults.plant import plant
from .faults.planted import LONGEST_RECORD_BYTES, LONGEST_TOKENS, MENDED, Corpus
from .faults.private import PRIVATE
from .faults.shapes import sources, write

LEAST_RECALL = 0.95
LEAST_PRECISION = 0.98
LEAST_UNTOUCHED = 0.98


@dataclass(frozen=True, slots=True)
class Evaluation:
    seed: int
    corpus: Corpus
    places: dict[str, str]
    outcome: Outcome
    folder: Path

    @property
    def replay(self) -> str:
        return f"SERIN_FAULT_SEED={self.seed}"


@pytest.fixture(scope="module")
def evaluation(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    seed = int(os.environ.get("SERIN_FAULT_SEED") or int.from_bytes(os.urandom(4), "big"))
    print(f"SERIN_FAULT_SEED={seed}")  # where the stage itself fails, nothing else says it
    raw = tmp_path_factory.mktemp("raw")
    corpus = plant(seed)
    places = write(corpus, raw, random.Random(seed))
    given: dict[str, Any] = {
        **sources(raw),
        "languages": {"keep": ["en", "zh", "de"]},
        "max_tokens": LONGEST_TOKENS,
        "max_record_bytes": LONGEST_RECORD_BYTES,
    }
    out = tmp_path_factory.mktemp("prepared") / "dataset"
    params = parse_params({"prepare": given, "train": {"max_tokens": LONGEST_TOKENS}}, "params.yaml")
    stage.run(params.prepare, tiny_base, "0" * 64, out, lambda *_: None)
    return Evaluation(seed, corpus, places, Outcome.read(out), out)


def test_every_fault_is_found_and_little_else(evaluation: Evaluation) -> None:
    scores = list(score(evaluation.corpus, evaluation.outcome, evaluation.places))
    assert all(s.planted >= 50 for s in scores)
    failed = [s.fault for s in scores if s.recall < LEAST_RECALL or s.precision < LEAST_PRECISION]
    assert not failed, "\n".join([evaluation.replay, *table(scores, evaluation)])


def test_every_record_is_kept_or_rejected_with_its_place(evaluation: Evaluation) -> None:
    outcome, places = evaluation.outcome, evaluation.places
    keys = {one.key for one in evaluation.corpus}
    report = outcome.report
    assert not outcome.strays, f"{evaluation.replay}: {len(outcome.strays)} lines such as {outcome.strays[:3]}"
    assert keys == outcome.kept.keys() | outcome.rejected.keys(), evaluation.replay
    assert not outcome.kept.keys() & outcome.rejected.keys(), evaluation.replay
    assert len(keys) == report["read"] == report["kept"] + sum(report["rejected"].values()) >= 20_000
    found = {key: f"{row['source']}:{row['line']}" for key, row in outcome.rejected.items()}
    found |= {key: record["meta"]["source"] for key, record in outcome.kept.items()}
    wrong = {place: places[key] for key, place in found.items() if place != places[key]}
    assert not wrong, f"{evaluation.replay}: places that were named, and the right ones: {wrong}"


def test_clean_records_come_out_unchanged(evaluation: Evaluation) -> None:
    copied = {one.like for one in evaluation.corpus}
    clean = [one for one in evaluation.corpus if one.fault is None and one.key not in copied]
    assert len(clean) >= 8000
    changed = [one for one in clean if not comes_out(one, evaluation.outcome)]
    seen = "\n".join(shown(one.key, evaluation) for one in changed[:5])
    assert len(changed) <= (1 - LEAST_UNTOUCHED) * len(clean), f"{evaluation.replay}: {len(changed)}\n{seen}"


def test_what_is_given_as_the_test_split_is_the_test_split(evaluation: Evaluation) -> None:
    kept = evaluation.outcome.kept
    given = evaluation.corpus.records["test"]
    assert {kept[one.key]["split"] for one in given if one.key in kept} == {"test"}
    assert sum(comes_out(one, evaluation.outcome) for one in given) >= LEAST_UNTOUCHED * len(given), evaluation.replay


def test_the_report_counts_what_was_mended_and_what_was_found(evaluation: Evaluation) -> None:
    """Of blanks too many there are more than planted: web pages and copies have them too."""
    report = evaluation.outcome.report
    planted = Counter(one.name for one in evaluation.corpus)
    counts = {name: (report["mended"][name], planted[fault]) for fault, name in MENDED.items() if fault != "stretched"}
    examined = [one for one in evaluation.corpus if one.name in (*PRIVATE, "long", "foreign")]
    for type_, count in Counter(one.type for one in examined if one.type is not None).items():
        counts[type_] = (report["personal_data"][type_]["records"], count)
    wrong = {
        name: pair for name, pair in counts.items() if not LEAST_RECALL <= pair[0] / pair[1] <= 1 / LEAST_PRECISION
    }
    assert not wrong, f"{evaluation.replay}: (reported, planted) of {wrong}"


def test_no_private_value_stands_in_any_output(evaluation: Evaluation) -> None:
    pages = {p.name: p.read_text(encoding="utf-8") for p in evaluation.folder.iterdir() if p.suffix != ".jsonl"}
    assert {"quality.json", "quality.html", "README.md", "manifest.json"} <= pages.keys()
    lines = evaluation.outcome.lines
    private = [(one, value) for one in evaluation.corpus for value in one.values]
    found = [f"{one.name} {value} in {n}" for one, value in private for n, text in pages.items() if value in text]
    found += [f"{one.name} {value} in {lines[one.key]}" for one, value in private if value in lines.get(one.key, "")]
    assert len(found) <= (1 - LEAST_RECALL) * len(private), "\n".join([evaluation.replay, *found[:20]])


def table(scores: list[Score], evaluation: Evaluation) -> Iterator[str]:
    """A line a fault, and under those that fell short some of the records concerned."""
    for s in scores:
        yield f"{s.fault:20} planted {s.planted:4} recall {s.recall:.3f} treated {s.treated:4} precision {s.precision:.3f}"
        if s.recall < LEAST_RECALL:
            yield from (f"    missed {shown(key, evaluation)}" for key in s.missed[:5])
        if s.precision < LEAST_PRECISION:
            yield from (f"    wrongly {shown(key, evaluation)}" for key in s.wrongly[:5])


def shown(key: str, evaluation: Evaluation) -> str:
    planted = next(one for one in evaluation.corpus if one.key == key)
    asked = [turn.content for turn in planted.written.turns]
    became = evaluation.outcome.lines.get(key, "nothing")
    return (
        f"{evaluation.places[key]} {planted.values} {json.dumps(asked, ensure_ascii=False)[:2000]} -> {became[:2000]}"
    )
