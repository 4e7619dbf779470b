"""The stage as a whole: every record accounted for, its own output unchanged, the same output on any number of workers."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serin.clients.files import digests_in, read_json, read_jsonl, read_manifest
from serin.core.errors import ConfigError
from serin.core.params import PrepareParams, parse_params
from serin.prepare import stage
from serin.prepare.split import SPLITS, split_of

ASKED = ("overtime", "holidays", "wages", "probation", "severance", "notice", "dispatch", "arbitration")
Prepare = Callable[..., dict[str, Any]]


def params_for(raw: Path | list[Any], **prepare: Any) -> PrepareParams:
    sources = raw if isinstance(raw, list) else [str(raw)]
    values = {"prepare": {"sources": sources, "max_tokens": 4096, **prepare}, "train": {"max_tokens": 4096}}
    return parse_params(values, "params.yaml").prepare


@pytest.fixture
def prepare(tiny_base: Path, tmp_path: Path) -> Prepare:
    def prepared(raw: Path | list[Any], out: str = "out", **prepare: Any) -> dict[str, Any]:
        stage.run(params_for(raw, **prepare), tiny_base, "0" * 64, tmp_path / out, lambda *_: None)
        report: dict[str, Any] = read_json(tmp_path / out / "quality.json")
        return report

    return prepared


def write(path: Path, records: list[Any]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), encoding="utf-8")
    return path


def kept(out: Path) -> dict[str, list[dict[str, Any]]]:
    return {split: list(read_jsonl(out / f"{split}.jsonl")) for split in SPLITS}


def questions(count: int, seed: int = 1) -> list[dict[str, str]]:
    draw = random.Random(seed)
    syllables = [a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u", "an", "er")]
    words = ["".join(draw.choices(syllables, k=3)) for _ in range(500)]
    return [{"question": " ".join(draw.choices(words, k=9)) + "?", "answer": f"Answer {i}."} for i in range(count)]


def test_read_is_kept_plus_rejected_and_personal_data_is_gone(prepare: Prepare, tmp_path: Path) -> None:
    good = [{"question": f"What about {word}?", "answer": f"About {word}.", "fact": word} for word in ASKED]
    faulty = [
        good[0],
        {"question": "And an empty one?", "answer": " "},
        {"question": "Whom may I write to?", "answer": "To li.wei@example.com.", "contact": "li.wei@example.com"},
        {"messages": [{"role": "user", "content": "li.wei@example.com"}]},
        '{"question": "li.wei@example.com',
        {"question": "Who?", "answer": {"a": "li.wei@example.com"}},
        {"instruction": "Who is it?", "output": "Nobody."},
    ]
    report = prepare(write(tmp_path / "a.jsonl", good + faulty))
    rejected = list(read_jsonl(tmp_path / "out/rejected.jsonl"))
    assert (report["read"], report["kept"], len(rejected)) == (15, 9, 6)
    assert [(r["line"], r["reason"]) for r in rejected] == [
        (9, "exact_duplicate"),
        (10, "empty_answer"),
        (12, "mixed_format"),
        (13, "not_json"),
        (14, "unknown_format"),
        (15, "mixed_format"),
    ]
    assert rejected[0]["of"] == "a.jsonl:1"
    assert report["personal_data"] == {"EMAIL": {"found": 2, "records": 1, "action": "redact"}}
    assert "li.wei" not in "".join(p.read_text() for p in (tmp_path / "out").iterdir())
    assert [step["records"] for step in report["steps"]][-1] == report["kept"]


def test_what_is_dropped_for_personal_data_is_shown_nowhere(prepare: Prepare, tmp_path: Path) -> None:
    call = {"function": {"name": "f", "arguments": {"n": 13812345678}}}
    private = [
        {"question": "Who asks about the wages?", "answer": "Me.", "contact": "li.wei@example.com"},
        {"question": "Who asks about holidays?", "answer": "li.wei@example.com"},
        {"question": "Where do we call them?", "answer": "There.", "phone": 13812345678},
        {"question": "Is it 138\u200b1234\u200b5678?", "answer": ""},
        {
            "messages": [
                {"role": "user", "content": "Look it up, would you?"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "content": "x", "name": "li.wei@example.com"},
                {"role": "assistant", "content": "Done."},
            ]
        },
    ]
    grouped = [{**r, "fact": f"1381234567{i % 2}"} for i, r in enumerate(questions(8))]
    write(tmp_path / "a.jsonl", [*questions(20, seed=2), *private[:4], *grouped])
    write(tmp_path / "b.jsonl", private[4:])
    report = prepare([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")], personal_data={"email": "drop"})
    assert report["rejected"] == {"personal_data": 3, "empty_answer": 1}
    assert report["personal_data"]["PHONE"]["records"] == 10
    everything = "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "out").iterdir())
    for part in ("li.wei", "13812345678", "1234\u200b5678", "138123456"):
        assert part not in everything
    assert sum(split["groups"] for split in report["splits"].values()) >= 2


def test_a_benchmark_needs_nothing_but_its_questions_and_drops_no_rule_on_them(
    prepare: Prepare, tmp_path: Path
) -> None:
    asked = questions(30)
    bench = [
        {"question": asked[0]["question"]},
        {"question": asked[1]["question"], "answer": ""},
        {"prompt": asked[2]["question"] + " kettle of doom " * 3},
        {"messages": [{"role": "user", "content": asked[3]["question"]}]},
    ]
    (tmp_path / "own.txt").write_text("kettle of doom\n")
    write(tmp_path / "a.jsonl", [*asked, {"question": bench[2]["prompt"], "answer": "No."}])
    write(tmp_path / "bench.jsonl", bench)
    report = prepare(
        tmp_path / "a.jsonl",
        benchmarks=[str(tmp_path / "bench.jsonl")],
        sensitive_words={"files": [str(tmp_path / "own.txt")], "action": "report"},
        languages={"keep": ["zh", "en", "de", "fr", "es", "it", "nl", "pt"]},
        limits={"max_contaminated": 0},
    )
    benchmark = {"source": "bench.jsonl", "records": 4, "unreadable": 0, "matched": 4}
    assert report["contamination"]["benchmarks"] == [benchmark]
    assert not report["gate"]["passed"]
    write(tmp_path / "bench.jsonl", ["{broken"])
    gate = prepare(tmp_path / "a.jsonl", benchmarks=[str(tmp_path / "bench.jsonl")], limits={"max_contaminated": 0})[
        "gate"
    ]
    assert not gate["passed"]
    assert "could not be read" in gate["rules"][0]["says"]


def test_groups_of_a_given_test_file_are_held_out_whole_where_groups_are(prepare: Prepare, tmp_path: Path) -> None:
    facts = [{**r, "fact": f"f{i % 10}"} for i, r in enumerate(questions(60))]
    write(tmp_path / "test.jsonl", facts[:3])
    write(tmp_path / "a.jsonl", facts[3:])
    sources = [{"path": str(tmp_path / "test.jsonl"), "split": "test"}, str(tmp_path / "a.jsonl")]
    report = prepare(sources, split={"by": "group", "validation": 0})
    splits = kept(tmp_path / "out")
    assert len(splits["test"]) == 3
    assert not {r["meta"]["group"] for r in splits["train"]} & {"f0", "f1", "f2"}
    assert report["rejected"] == {"held_out_group": 60 * 3 // 10 - 3}


def test_a_format_can_be_forced_and_one_odd_record_at_the_top_decides_nothing(prepare: Prepare, tmp_path: Path) -> None:
    asked = [
        {**r, "prompt": f"Please: {r['question']}", "completion": "Forced.", "messages": None} for r in questions(30)
    ]
    write(tmp_path / "a.jsonl", [{"instruction": "Odd?", "output": "Yes."}, *asked])
    report = prepare(tmp_path / "a.jsonl")
    assert report["files"][0]["format"] == "prompt_completion"
    assert report["rejected"] == {"mixed_format": 1}
    prepare([{"path": str(tmp_path / "a.jsonl"), "format": "question_answer"}])
    assert all(r["messages"][-1]["content"].startswith("Answer") for r in kept(tmp_path / "out")["train"])


def test_bombs_bad_bytes_and_addresses_without_end_are_rejections(prepare: Prepare, tmp_path: Path) -> None:
    deep = ['{"question": ' + "[" * n + "]" * n + "}" for n in (200, 253, 254, 255, 1000, 1020, 5000)]
    hexes = {"question": "Dump 00:" + "c2:" * 300 + "x and 12:30:" + "0" * 500 + "x", "answer": "Hex."}
    write(tmp_path / "a.jsonl", [*questions(20), *deep, hexes])
    (tmp_path / "b.csv").write_bytes(b'question,answer\nq,"caf\xe9,x\n"a"b,c\xe9\nlast,one\n')
    report = prepare([str(tmp_path / "a.jsonl"), str(tmp_path / "b.csv")])
    assert report["kept"] == 22
    assert report["read"] == 20 + len(deep) + 1 + 3
    assert set(report["rejected"]) <= {"unknown_format", "not_json", "broken_quotes", "not_utf8"}


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_read_is_accounted_for_and_prepared_again_it_is_the_same(
    data: st.DataObject, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    words = st.text(
        st.sampled_from("ab 试用期1,.?!@+") | st.sampled_from("â€™Ã©\u200b\u00a0é<&;/p>\x00\u2028") | st.characters(),
        max_size=25,
    )
    pieces = st.sampled_from(
        [
            "a.b@example.com",
            "13800138000",
            "4111 1111 1111 1111",
            "<p>",
            "&nbsp;",
            "8.8.8.8",
            "password: abc123x",
            " is the ",
        ]
    )
    text = st.lists(words | pieces, max_size=5).map("".join)
    turn = st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "assistant", "system", "bot"]), "content": text}
    )
    record = (
        st.fixed_dictionaries({"question": text, "answer": text}, optional={"fact": words, "language": words})
        | st.fixed_dictionaries({"messages": st.lists(turn, max_size=4)})
        | st.none()
        | text
    )
    folder = tmp_path_factory.mktemp("raw")
    files = data.draw(st.lists(st.lists(record, max_size=12), min_size=1, max_size=3))
    for i, records in enumerate(files):
        lines = [json.dumps(r, ensure_ascii=data.draw(st.booleans())) for r in records]
        (folder / f"{i}.jsonl").write_bytes("\n".join(lines).encode("utf-8", errors="surrogatepass"))
    write(folder / "z.jsonl", questions(40))
    split = {"test": 0.2, "validation": 0.1, "control": 0.1}
    out = folder.parent / f"{folder.name}-out"
    stage.run(params_for(folder, split=split, max_tokens=200), tiny_base, "0" * 64, out, lambda *_: None)
    report, first = read_json(out / "quality.json"), kept(out)
    rejected = list(read_jsonl(out / "rejected.jsonl"))
    assert report["read"] == sum(
        len([line for line in p.read_bytes().split(b"\n") if line.strip()]) for p in folder.iterdir()
    )
    assert report["read"] == report["kept"] + len(rejected) == sum(map(len, first.values())) + len(rejected)
    places = [r["meta"]["source"] for records in first.values() for r in records]
    assert len({*places, *(f"{r['source']}:{r['line']}" for r in rejected)}) == report["read"]
    again = folder.parent / f"{folder.name}-again"
    sources = [str(out / f"{name}.jsonl") for name in SPLITS]
    stage.run(params_for(sources, split=split, max_tokens=200), tiny_base, "0" * 64, again, lambda *_: None)
    assert list(read_jsonl(again / "rejected.jsonl")) == []
    for name, records in kept(again).items():
        expected = [{**r, "meta": {**r["meta"], "source": None}} for r in first[name]]
        assert [{**r, "meta": {**r["meta"], "source": None}} for r in records] == expected


def test_workers_and_the_size_of_the_input_change_no_byte(tiny_base: Path, tmp_path: Path) -> None:
    raw = write(tmp_path / "a.jsonl", [*questions(1500), *questions(300, seed=2), *questions(30), "{broken", {"x": 1}])
    outputs = []
    for workers in (1, 2):
        out = tmp_path / f"out-{workers}"
        stage.run(params_for(raw, workers=workers), tiny_base, "0" * 64, out, lambda *_: None)
        outputs.append((digests_in(out), read_manifest(out, "dataset").digest))
    assert outputs[0] == outputs[1]


def test_more_data_moves_no_record_to_another_split(prepare: Prepare, tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", questions(300))
    prepare(tmp_path / "b.jsonl", "before")
    write(tmp_path / "a.jsonl", questions(300, seed=2))
    prepare([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")], "after")
    before, after = kept(tmp_path / "before"), kept(tmp_path / "after")
    assert all(before[name] for name in ("train", "validation", "test"))
    for name in SPLITS:
        assert {r["meta"]["id"] for r in before[name]} <= {r["meta"]["id"] for r in after[name]}


def test_a_given_test_file_is_the_test_split_and_what_resembles_it_or_a_benchmark_is_not_trained_on(
    prepare: Prepare, tmp_path: Path
) -> None:
    every = questions(60)
    leaks = [{**r, "question": r["question"].replace("?", " please?")} for r in every[:5]]
    held = [{**r, "question": f"Please: {r['question']}"} for r in every[5:9]]
    write(tmp_path / "train.jsonl", every)
    write(tmp_path / "given.jsonl", leaks)
    write(tmp_path / "bench.jsonl", [*held, {"unreadable": 1}])
    given_test = {"path": str(tmp_path / "given.jsonl"), "split": "test"}
    report = prepare(
        [str(tmp_path / "train.jsonl"), given_test],
        benchmarks=[str(tmp_path / "bench.jsonl")],
        near_duplicates={"threshold": 0.7},
        split={"test": 0, "validation": 0.1},
    )
    splits = kept(tmp_path / "out")
    assert [r["meta"]["source"] for r in splits["test"]] == [f"given.jsonl:{i}" for i in range(1, 6)]
    rejected = {
        f"{r['source']}:{r['line']}": (r["reason"], r["of"]) for r in read_jsonl(tmp_path / "out/rejected.jsonl")
    }
    assert rejected == {
        **{f"train.jsonl:{i}": ("near_duplicate", f"given.jsonl:{i}") for i in range(1, 6)},
        **{f"train.jsonl:{i}": ("benchmark", f"bench.jsonl:{i - 5}") for i in range(6, 10)},
    }
    assert report["read"] == 65
    assert report["contamination"] == {
        "between_splits": 5,
        "benchmarks": [{"source": "bench.jsonl", "records": 5, "unreadable": 1, "matched": 4}],
    }


def test_a_control_group_is_whole_and_groups_can_be_drawn_whole() -> None:
    for by, parts in (("record", {"control"}), ("group", set(SPLITS))):
        params = params_for([__file__], split={"control": 0.3, "test": 0.3, "by": by}).split
        drawn = [{split_of(f"question {n}", f"fact {g}", params) for n in range(6)} for g in range(50)]
        assert {split for splits in drawn for split in splits} >= {"control", "train", "test"}
        assert all(len(splits) == 1 for splits in drawn if splits & parts)


def test_long_conversations_are_dropped_cut_after_a_whole_exchange_or_an_error(
    prepare: Prepare, tmp_path: Path
) -> None:
    exchange = [
        {"role": "user", "content": "And what about the wages?"},
        {"role": "assistant", "content": "They are paid."},
    ]
    long = {"messages": [{"role": "system", "content": "Be kind."}, *exchange * 30]}
    single = {"messages": [{"role": "user", "content": "wages" * 300}, exchange[1]]}
    raw = write(
        tmp_path / "a.jsonl",
        [
            long,
            single,
            *({"messages": [{"role": "user", "content": r["question"]}, exchange[1]]} for r in questions(9)),
        ],
    )
    split = {"test": 0, "validation": 0}
    assert prepare(raw, max_tokens=400, split=split)["rejected"] == {"too_long": 2}
    report = prepare(raw, max_tokens=400, split=split, too_long="truncate")
    assert report["rejected"] == {"too_long": 1}
    assert report["mended"] == {"truncated": 1}
    (cut,) = (r for r in kept(tmp_path / "out")["train"] if r["meta"].get("truncated"))
    assert cut["messages"][0]["role"] == "system"
    assert 2 < len(cut["messages"]) < 61
    assert cut["messages"][-1] == exchange[1]
    with pytest.raises(ConfigError, match=r"a\.jsonl:1 is longer than prepare\.max_tokens = 400"):
        prepare(raw, max_tokens=400, split=split, too_long="raise")


def test_a_weight_limits_a_sources_share_of_the_train_split(prepare: Prepare, tmp_path: Path) -> None:
    write(tmp_path / "own.jsonl", questions(80))
    write(tmp_path / "general.jsonl", questions(400, seed=2))
    report = prepare(
        [str(tmp_path / "own.jsonl"), {"path": str(tmp_path / "general.jsonl"), "weight": 0.2, "split": "train"}]
    )
    train = [r["meta"]["source"].split(":")[0] for r in kept(tmp_path / "out")["train"]]
    assert train.count("general.jsonl") == train.count("own.jsonl") // 4
    assert report["rejected"] == {"over_weight": 400 - train.count("general.jsonl")}


def test_limits_make_a_verdict_and_languages_are_kept_by_name(prepare: Prepare, tmp_path: Path) -> None:
    german = [
        {"question": f"Wie lange darf die Probezeit bei {w} dauern?", "answer": "Höchstens sechs Monate."}
        for w in ASKED
    ]
    raw = write(tmp_path / "a.jsonl", [*({**r, "language": "en"} for r in questions(72)), *german])
    report = prepare(raw, languages={"keep": ["en"]}, limits={"max_rejected": 0.05, "min_train": 10})
    assert report["rejected"] == {"language": 8}
    assert not report["gate"]["passed"]
    assert [(rule["rule"], rule["passed"]) for rule in report["gate"]["rules"]] == [
        ("max_rejected", False),
        ("min_train", True),
    ]
    assert "10.0% of the records were rejected, at most 5.0% may be" in report["gate"]["rules"][0]["says"]
    assert prepare(raw, limits={"max_rejected": 0.2})["gate"]["passed"]


def test_augmented_records_are_for_training_only_and_pass_the_same_checks(prepare: Prepare, tmp_path: Path) -> None:
    asked = [{"question": f"What does the law say about {word} in the {place} office?", "answer": f"It says {word}."}
             for word in ASKED for place in ("northern", "southern", "head", "branch", "sales", "repair")]  # fmt: skip
    raw = write(tmp_path / "a.jsonl", asked)
    plain = prepare(raw, "plain", near_duplicates={"threshold": 0.95})
    report = prepare(raw, augment={"rules": 2}, near_duplicates={"threshold": 0.95})
    made = report["augmentation"]
    assert made["generated"]["rules"] == 2 * plain["splits"]["train"]["records"]
    assert report["splits"]["train"]["records"] == plain["splits"]["train"]["records"] + made["kept"]["rules"]
    splits, before = kept(tmp_path / "out"), kept(tmp_path / "plain")
    assert splits["test"] == before["test"]
    assert splits["validation"] == before["validation"]
    parents = {r["meta"]["id"] for r in before["train"]}
    augmented = [r for r in splits["train"] if "augmented" in r["meta"]]
    assert {r["meta"]["augmented"]["of"] for r in augmented} <= parents
    assert report["read"] == report["kept"] + sum(report["rejected"].values())


def test_nothing_to_train_on_is_refused_and_writes_nothing(prepare: Prepare, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"question": "Why?", "answer": ""}])
    with pytest.raises(ConfigError, match=r"no record is left .*1 empty_answer"):
        prepare(tmp_path / "a.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_check_reports_without_a_base_and_leaves_nothing(tmp_path: Path) -> None:
    raw = write(tmp_path / "a.jsonl", questions(30))
    report = stage.check(params_for(raw), None, lambda *_: None, tmp_path / "page.html")
    assert (report["kept"], report["tokens"], report["training_tokens_an_epoch"]) == (30, {}, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "page.html"]
