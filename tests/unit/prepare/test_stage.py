"""Every record that is read is kept or rejected with its reason, and nothing of a held-out group is trained on."""

import json
from pathlib import Path

import pytest

from serin.clients.files import read_json, read_jsonl
from serin.core.errors import ConfigError
from serin.core.params import parse_params
from serin.prepare import stage
from serin.prepare.split import split_of

ASKED = ("overtime", "holidays", "wages", "probation", "severance", "notice", "dispatch", "arbitration")


def prepare(base: Path, raw: Path, out: Path) -> list[dict[str, str]]:
    params = parse_params({"prepare": {"sources": [str(raw)], "split": {"group": "fact"}}}, "params.yaml").prepare
    stage.run(params, base, "0" * 64, out, lambda *_: None)
    return list(read_jsonl(out / "rejected.jsonl"))


def test_read_is_kept_plus_rejected_and_personal_data_is_gone(tiny_base: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    good = [{"question": f"What about {word}?", "answer": f"About {word}.", "fact": word} for word in ASKED]
    faulty = [
        good[0],
        {"question": "And an empty one?", "answer": " "},
        {"question": "Whom may I write to?", "answer": "To li.wei@example.com."},
    ]
    (raw / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in good + faulty) + "{broken\n")
    rejected = prepare(tiny_base, raw, tmp_path / "out")
    report = read_json(tmp_path / "out" / "quality.json")
    assert (report["read"], report["kept"], len(rejected)) == (12, 9, 3)
    assert [(r["line"]) for r in rejected] == [9, 10, 12]
    assert report["personal_data"] == {"EMAIL": 1}
    assert "li.wei" not in "".join(p.read_text() for p in (tmp_path / "out").iterdir())


def test_a_control_group_is_whole() -> None:
    params = parse_params({"prepare": {"sources": ["x"], "split": {"control": 0.3}}}, "params.yaml").prepare.split
    of_group = [{split_of(f"question {n}", f"fact {g}", params) == "control" for n in range(6)} for g in range(50)]
    assert all(len(seen) == 1 for seen in of_group)
    assert {True in seen for seen in of_group} == {True, False}


def test_nothing_to_train_on_is_refused_and_writes_nothing(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "Why?", "answer": ""}\n')
    with pytest.raises(ConfigError, match="no record is left"):
        prepare(tiny_base, tmp_path / "a.jsonl", tmp_path / "out")
    assert not (tmp_path / "out").exists()
